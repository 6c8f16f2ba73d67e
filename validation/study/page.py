"""A study's page, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from validation.study.bound import BoundRow
from validation.study.paper_table import TableRow
from validation.study.request import StudyRequest
from validation.study.results import ArmFigures, Group

HIGH_DB = 15.0  # from here on quantization is what limits the SDR


def page(request: StudyRequest, plot: str, body: list[str], facts: list[str]) -> str:
    """The page around its tables; ``plot`` is the file of the plot, ``facts`` further sentences on how it was made."""
    study = request.study
    made = [
        f"Model `{request.model}`, data `{request.data}`, {study.mixtures} mixtures of the set test and as many of the sweep.",
        *facts,
        f"Made by `{request.command}`; the figures are in `{plot.removesuffix('.svg')}.json`.",
    ]
    return "\n".join([f"# {study.title}: {request.model}", "", study.description, "", f"![{study.title}]({plot})", "", *body, *made, ""])


def arms_body(request: StudyRequest, groups: Sequence[Group]) -> list[str]:
    """Tables of SI-SDR by SNR, of loss by the float network's SDR, and of the gain over the arm that is compared with."""
    by_snr = [group for kind in ("snr", "test") for group in groups if group.kind == kind]
    by_sdr = [group for kind in ("sdr", "all") for group in groups if group.kind == kind]
    names = [figures.arm for figures in groups[0].arms]
    lines = ["SI-SDR, dB, by the SNR of the first source and of the set test:", ""]
    lines += _table(["", *(f"{group.label} (n {group.n})" for group in by_snr)], [["float", *(f"{group.sdr:.2f}" for group in by_snr)]])
    lines += [_row([name, *(f"{_of(group, name).si_sdr:.2f}" for group in by_snr)]) for name in names]
    lines += ["", "Loss of SI-SDR against the float network, dB, by its SDR, with 95 % interval:", ""]
    heads = ["", *(f"{group.label} (n {group.n})" for group in by_sdr)]
    lines += _table(heads, [[name, *(_of(group, name).loss.words() for group in by_sdr)] for name in names])
    lines += ["", "SQNR against the float network, dB:", ""]
    lines += _table(heads, [[name, *(f"{_of(group, name).sqnr:.1f}" for group in by_sdr)] for name in names])
    against = request.study.against
    if against:
        lines += ["", f"Gain of SI-SDR over `{against}`, dB, the same mixtures and seeds; bold where the interval leaves 0 out:", ""]
        others = [name for name in names if name != against]
        lines += _table(heads, [[name, *(_gain(_of(group, name)) for group in by_sdr)] for name in others])
    return [*lines, ""]


def bound_body(rows: Sequence[BoundRow]) -> list[str]:
    """The table of the theorem's quantities."""
    heads = ["", "", "n", "SDR", "SDR quantized", "SQNR", "α_max", "if uncorrelated", "bound", "above their bound"]
    cells = []
    for row in rows:
        means = [f"{x:.2f}" for x in (row.sdr, row.sdr_quantized, row.sqnr, row.correlation, row.uncorrelated)]
        bound = "none" if math.isinf(row.bound) else f"{row.bound:.2f}"
        cells.append([row.arm, row.label, str(row.n), *means, bound, str(row.above)])
    return ["Means over mixtures, by the SNR of the first source and by the float network's SDR, dB:", "", *_table(heads, cells), ""]


def table_body(rows: Sequence[TableRow]) -> list[str]:
    """The paper's table."""
    levels = list(rows[0].by_snr)
    heads = [
        "",
        "size, 10⁶ bytes",
        "TBOPs",
        *(f"SI-SDR at {level}" for level in levels),
        "SI-SDR, test",
        "loss of it, 95 %",
        "SDR, test",
        "STOI, test",
    ]
    cells = []
    for row in rows:
        ratios = [f"{x:.2f}" for x in (*row.by_snr.values(), row.si_sdr)]
        cells.append([row.network, f"{row.size_mb:.2f}", f"{row.tbops:.4f}", *ratios, "" if row.loss is None else row.loss.words()])
        cells[-1] += [f"{row.sdr:.2f}", "" if row.stoi is None else f"{row.stoi:.3f}"]
    return ["SI-SDR and SDR (with an allowed filter of 512 taps) in dB:", "", *_table(heads, cells), ""]


def budget_words(request: StudyRequest) -> list[str]:
    """What each arm was given."""
    budget, seeds = request.budget, request.study.seeds
    if all(arm.network == "shipped" for arm in request.study.arms.values()):
        return ["The weights are those that ship; their trainings are told by their cards (`pipeline/weights`)."]
    if not budget["steps"]:
        return [f"Nothing was trained: ranges were calibrated from the float weights, {seeds} seed(s)."]
    return [
        f"Budget of every arm: {budget['steps']:.0f} steps of {budget['batch_size']:.0f} × {budget['segment_seconds']:g} s at a rate of "
        f"{budget['learning_rate']:g}, which falls to 0 over the second half; {seeds} seed(s)."
    ]


def interval_words(request: StudyRequest) -> str:
    """What the intervals know of."""
    drawn = "mixtures and seeds" if request.study.seeds > 1 else "mixtures (one seed: they know nothing of how trainings differ)"
    return f"Intervals are percentile bootstraps over {drawn}."


def _of(group: Group, name: str) -> ArmFigures:
    return next(figures for figures in group.arms if figures.arm == name)


def _gain(figures: ArmFigures) -> str:
    assert figures.gain is not None
    return f"**{figures.gain.words()}**" if figures.gain.decided else figures.gain.words()


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, rows)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
