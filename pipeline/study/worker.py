"""``python -m pipeline.study.worker GRID RUNS``: some runs of a study, in this process one after the other."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from export_specs.foundation.errors import run_command_line
from export_specs.foundation.progress import say
from pipeline.stages.graph import StageRunner
from pipeline.study.plan import Grid, Plan
from pipeline.study.running import BUILD

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    grid: Annotated[str, typer.Argument(help="The study, as JSON of pipeline.study.plan.Grid.")],
    runs: Annotated[str, typer.Argument(help="JSON: a list of [arm, seed].")],
) -> None:
    """Make what is missing of these runs."""
    plan, runner = Plan(Grid.model_validate_json(grid)), StageRunner(BUILD, say)
    for arm, seed in json.loads(runs):
        runner.run(plan.run_of(arm, seed).stage)


if __name__ == "__main__":
    run_command_line(app)
