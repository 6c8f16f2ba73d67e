"""``python -m validation.study REQUEST``: judge the networks of a study and write its figures, plot and page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError, run_command_line
from validation.evaluation_set import read_evaluation_set
from validation.metrics import source_snr
from validation.study.bound import bound_rows
from validation.study.page import arms_body, bound_body, budget_words, interval_words, page, table_body
from validation.study.paper_table import table_rows
from validation.study.plots import bars_plot, bound_plot, histogram_plot, loss_plot
from validation.study.request import StudyRequest, read_request
from validation.study.results import groups_of
from validation.study.scores import score

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Made = tuple[dict[str, Any], str, list[str], list[str]]  # figures, plot, body of the page, sentences on how it was made


@app.command()
def main(
    request: Annotated[Path, typer.Argument(help="What pipeline.study has written.")],
    out: Annotated[Path, typer.Option(help="Folder of page, plot and figures.")],
) -> None:
    """Write ``<study>-<model>`` .json, .svg and .md below OUT."""
    asked = read_request(request)
    figures, plot, body, facts = KINDS[asked.study.kind](asked)
    name = f"{asked.study.name}-{asked.model}"
    told = {**asked.model_dump(mode="json", include={"study", "model", "data", "budget", "command"}), **figures}
    write_text(out / f"{name}.json", json.dumps(told, indent=1) + "\n")
    write_text(out / f"{name}.svg", plot)
    write_text(out / f"{name}.md", page(asked, f"{name}.svg", body, facts))
    typer.echo(out / f"{name}.md")


def _arms(request: StudyRequest) -> Made:
    groups = groups_of(score(request), request.study.against)
    figures = {"groups": [group.model_dump(mode="json") for group in groups]}
    return figures, loss_plot(groups), arms_body(request, groups), [*budget_words(request), interval_words(request)]


def _bound(request: StudyRequest) -> Made:
    scores = score(request)
    rows = bound_rows(scores)
    return {"rows": [row.model_dump(mode="json") for row in rows]}, bound_plot(scores, rows), bound_body(rows), budget_words(request)


def _table(request: StudyRequest) -> Made:
    rows = table_rows(request, score(request))
    levels = [*rows[0].by_snr, "test"]
    plot = bars_plot(levels, {row.network: [*row.by_snr.values(), row.si_sdr] for row in rows}, "SI-SDR, dB")
    return {"rows": [row.model_dump(mode="json") for row in rows]}, plot, table_body(rows), budget_words(request)


def _histogram(request: StudyRequest) -> Made:
    data = read_evaluation_set(request.sets["test"])
    parts = [source_snr(item.sources, item.mixture) for item in data.items if item.samples]
    snr = [value for found in parts for value in found if math.isfinite(value)]
    if not snr:
        raise UserError(f"no source of {data.folder} has anything beside it: there is no SNR to count")
    edges = range(2 * math.floor(min(snr) / 2), 2 * math.floor(max(snr) / 2) + 2, 2)
    counts = [{"from_db": low, "to_db": low + 2, "sources": sum(low <= value < low + 2 for value in snr)} for low in edges]
    within = sum(abs(value) <= 10 for value in snr) / len(snr)
    words = f"{len(snr)} sources from {min(snr):.1f} to {max(snr):.1f} dB; {100 * within:.0f} % lie within ±10 dB, the SNRs of the sweep."
    return {"counts": counts}, histogram_plot(snr), [words, ""], []


KINDS: dict[str, Callable[[StudyRequest], Made]] = {"arms": _arms, "bound": _bound, "table": _table, "snr-histogram": _histogram}

if __name__ == "__main__":
    run_command_line(app)
