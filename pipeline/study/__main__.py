"""``fqss study NAME``: make every network of a study, judge them on the same mixtures, and write table, plot, JSON and page."""

from __future__ import annotations

import json
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from export_specs.foundation.atomic import write_text
from export_specs.foundation.child_process import run_child
from export_specs.foundation.cluster import cluster as ray_cluster
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.progress import handed_over, say
from pipeline.accounting.describe import describe
from pipeline.stages.graph import StageRunner
from pipeline.study.plan import PROFILE, SETS, Grid, Plan
from pipeline.study.running import BUILD, ONE_THREAD, make_runs

REQUEST = "study.json"
OUT = Path("docs", "studies")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="ablation, lambda, sensitivity, snr-histogram, io-precision, bound, tables, or a YAML file.")],
    model: Annotated[str, typer.Option(help="Model that ships with the product; the study's own by default.")] = "",
    spec: Annotated[str, typer.Option(help="Your own spec (YAML); instead of --model.")] = "",
    data: Annotated[str, typer.Option(help="Data set, as make's DATA.")] = "",
    checkpoint: Annotated[str, typer.Option(help="Your own float weights, which every arm starts from.")] = "",
    steps: Annotated[int | None, typer.Option(min=0, help="Training steps of every arm; the study's by default.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of every arm; the study's by default.")] = None,
    mixtures: Annotated[int | None, typer.Option(min=1, help="Mixtures of the set test; the study's by default.")] = None,
    arms: Annotated[str, typer.Option(help="These arms alone, with commas between; all by default.")] = "",
    processes: Annotated[int | None, typer.Option(min=1, help="Runs at a time; one for each processor by default.")] = None,
    cluster: Annotated[
        str, typer.Option(help="Address of a Ray cluster whose computers make the runs, or auto; instead of --processes.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder of the page, its plot and its figures.")] = OUT,
) -> None:
    """Make every network of a study at equal budget, and tell how they compare; what is done already is not done again."""
    if cluster and processes:
        raise UserError("--processes counts those of this computer; on a cluster each processor makes one run")
    wanted = tuple(arm.strip() for arm in arms.split(",") if arm.strip())
    grid = Grid(
        study=name, model=model, spec=spec, data=data, checkpoint=checkpoint, steps=steps, seeds=seeds, mixtures=mixtures, arms=wanted
    )
    plan, runner = Plan(grid), StageRunner(BUILD, say)
    evaluation = runner.run(plan.evaluation)
    with ray_cluster(cluster) if cluster else ThreadPoolExecutor(processes or len(os.sched_getaffinity(0))) as executor:
        make_runs(grid, [(run.arm, run.seed) for run in plan.everything], executor)
    request = BUILD / "studies" / f"{plan.study.name}-{plan.spec.name}" / REQUEST
    write_text(request, json.dumps(judged(plan, grid, runner, evaluation), indent=1))
    with handed_over():
        judge = [sys.executable, "-m", "validation.study", str(request), "--out", str(out)]
        code = run_child(judge, env={**os.environ, **ONE_THREAD}).returncode  # short vectors: threads would wait for each other
    if code:
        raise UserError(f"the study was not judged (exit code {code}); see above and {request}")


def judged(plan: Plan, grid: Grid, runner: StageRunner, evaluation: Path) -> dict[str, object]:
    """What ``validation.study`` judges (its ``StudyRequest``)."""
    profile = plan.spec.profiles[PROFILE]
    return {
        "study": plan.study.model_dump(mode="json"),
        "model": plan.spec.name,
        "data": plan.choice.data,
        "budget": {name: getattr(profile, name) for name in ("steps", "batch_size", "learning_rate", "segment_seconds")},
        "sets": {name: str((evaluation / name).resolve()) for name in SETS},
        "reference": _pattern(runner.run(plan.reference.stage)) if plan.runs else None,
        "runs": [{"arm": run.arm, "seed": run.seed, "outputs": _pattern(runner.run(run.stage))} for run in plan.runs],
        "size": describe(plan.spec),
        "command": command_of(grid),
    }


def command_of(grid: Grid) -> str:
    """The command that makes the same again."""
    given = {
        "NAME": grid.study,
        "MODEL": grid.model,
        "SPEC": grid.spec,
        "DATA": grid.data,
        "CHECKPOINT": grid.checkpoint,
        "STEPS": grid.steps,
        "SEEDS": grid.seeds,
        "MIXTURES": grid.mixtures,
        "ARMS": ",".join(grid.arms),
    }
    return "make study " + " ".join(f"{name}={shlex.quote(str(value))}" for name, value in given.items() if value not in ("", None))


def _pattern(folder: Path) -> str:
    return str(folder.resolve() / "outputs" / "{set}.npz")


if __name__ == "__main__":
    run_command_line(app)
