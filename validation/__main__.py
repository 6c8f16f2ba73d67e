"""The command line: judge a set of artefacts, render a report again, print the schema of parity.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.progress import say
from export_specs.load import load_target
from validation.compare import compare, comparison_lines, left_out
from validation.config import read_config
from validation.gate_registry import find_gates, gate_settings
from validation.judge import judge
from validation.parity import read_parity, schema
from validation.report import render
from validation.verdict import Verdict

app = typer.Typer(help="Judge int8 separation models against their float network.", no_args_is_help=True, add_completion=False)


@app.command("judge")
def judge_command(
    config: Annotated[Path, typer.Option(help="judge.json: what to judge (see validation/config.py)")],
    out: Annotated[Path, typer.Option(help="folder that gets parity.json, parity.html, summary.md, golden_vectors.npz and audio/")],
) -> None:
    """Judge; exit code 1 if a gate fails, after the report is written."""
    parity = judge(read_config(config), out)
    say(f"judging: {parity.verdict.words}; report: {out / 'parity.html'}")
    _raise_failure(parity.verdict, out)


@app.command("render")
def render_command(
    parity: Annotated[Path, typer.Option(help="a parity.json, its audio/ folder beside it")],
    out: Annotated[Path | None, typer.Option(help="folder for parity.html and summary.md; by default that of parity.json")] = None,
) -> None:
    """Render parity.html and summary.md again; exit code 1 if a gate had failed."""
    folder = parity.parent
    found = read_parity(parity)
    render(found, folder, out)
    _raise_failure(found.verdict, out or folder)


@app.command("compare")
def compare_command(
    old: Annotated[Path, typer.Argument(help="a parity.json")],
    new: Annotated[Path, typer.Argument(help="another, say of the next version")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What got better or worse beyond the 95 % intervals, mixture by mixture; exit code 1 if anything got worse."""
    before, after = read_parity(old), read_parity(new)
    changes, alone = compare(before, after), left_out(before, after)
    if as_json:
        typer.echo(json.dumps({"changes": [change.model_dump(mode="json") for change in changes], "left_out": alone}, indent=1))
    else:
        for line in comparison_lines(changes, alone):
            typer.echo(line)
    worse = [change.what for change in changes if change.state == "worse"]
    if worse:
        raise UserError(f"{len(worse)} got worse: {', '.join(worse)}")


@app.command("gates")
def gates_command(
    target: Annotated[str, typer.Option(help="name of a target, or its YAML file")],
) -> None:
    """List the gates and the settings that a target gives them; exit code 1 if it names one that does not exist."""
    gates = find_gates()
    table = Table("gate", "settings")
    for name, settings in gate_settings(load_target(target), gates).items():
        table.add_row(name, "\n".join(f"{key}: {value}" for key, value in settings.model_dump().items()))
    Console().print(table)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON schema of parity.json."""
    Console().print_json(json.dumps(schema(), sort_keys=True))


def _raise_failure(verdict: Verdict, out: Path) -> None:
    if verdict.state == "failed":
        raise UserError(f"{verdict.words}: {', '.join(verdict.failed)}. The report {out / 'parity.html'} has the details.")


if __name__ == "__main__":
    run_command_line(app)
