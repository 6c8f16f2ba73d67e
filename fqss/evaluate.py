"""``fqss evaluate``: deployed files on a whole test set, every mixture in its full length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_runtime.runtime import FileRuntime, open_runtime
from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError
from export_specs.schema import Task
from pipeline.data.whole_sets import whole_set
from validation.whole_set.files import WholeSet
from validation.whole_set.run import WholeStage, evaluate
from validation.whole_set.table import markdown, summarised

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    files: Annotated[list[str], typer.Argument(help="NAME=FILE or NAME=FILE@RUNTIME; the first is what others are compared with.")],
    data: Annotated[str, typer.Option(help="Data set, as make's DATA; by default embedded, or for music embedded-stems.")] = "",
    mixtures: Annotated[int | None, typer.Option(min=1, help="So many mixtures, pairs or tracks, evenly spread; by default all.")] = None,
    levels: Annotated[str, typer.Option(help="Pairs of speakers once more at these levels, dB.")] = "-10,0,10",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each processor.")] = None,
    cluster: Annotated[str, typer.Option(help="Address of a Ray cluster whose computers score, or auto; instead of --workers.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of the result, and of what is done so far.")] = Path("build/evaluate"),
) -> None:
    """Evaluate files on a whole test set. The same command goes on with an interrupted run."""
    stages, opened = zip(*(_stage(entry) for entry in files), strict=True)
    if len({stage.name for stage in stages}) < len(stages):
        raise UserError("two files have one name")
    if cluster and workers:
        raise UserError("--workers counts processes of this computer; on a cluster each processor scores")
    wanted = [_level(level) for level in levels.split(",") if level.strip()]
    found = whole_set(data, _task(opened[0]), opened[0].sample_rate, mixtures, wanted)
    whole = WholeSet.model_validate(found)
    result = summarised(whole, stages, evaluate(whole, stages, out / "mixtures.jsonl", workers, cluster))
    write_text(out / "evaluation.json", result.model_dump_json(indent=1) + "\n")
    table = markdown(result)
    write_text(out / "evaluation.md", table)
    typer.echo(table)


def _stage(entry: str) -> tuple[WholeStage, FileRuntime]:
    name, separator, place = entry.partition("=")
    path, _, runtime = place.partition("@")
    if not name or not separator or not Path(path).is_file():
        raise UserError(f"'{entry}' is not NAME=FILE or NAME=FILE@RUNTIME with a file that is there")
    opened = open_runtime(Path(path), runtime or None)
    return WholeStage(name, Path(path).resolve(), opened.name), opened


def _level(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"'{text}' is no level in dB; --levels takes a list such as -10,0,10") from None


def _task(runtime: FileRuntime) -> Task:
    if runtime.source_names:
        return "music"
    return "separation" if runtime.sources > 1 else "enhancement"
