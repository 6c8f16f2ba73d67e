"""The report's plots, as SVG text that a page holds inline."""

from __future__ import annotations

import io
import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from validation.layers import LSB_LABELS
from validation.parity import Parity

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#dd6b20", "#718096", "#c53030"


def ladder_plot(parity: Parity) -> str:
    """Mean SI-SDR improvement of each stage on the test sets, with the interval of its difference from float.

    Beneath each bar the float network's over the same mixtures: a slow runtime has fewer, which may be easier ones.
    """
    names = {entry.name for entry in parity.data if entry.role == "test"}
    stages = [result for result in parity.ladder if result.set in names]
    figure = Figure(figsize=(9, 0.6 + 0.5 * len(stages)))
    axes = figure.add_subplot()
    for row, result in enumerate(stages):
        found = result.summary
        label = f"{found.si_sdr_improvement:.2f} dB  ({found.delta:+.3f}, n = {found.n})"
        if math.isfinite(found.si_sdr_improvement):
            axes.barh(row - 0.1, found.si_sdr_improvement, 0.55, color=GREY if result.beside else BLUE)
            axes.barh(row + 0.3, found.float_si_sdr_improvement, 0.2, color=ORANGE)
            low, high = found.delta - found.delta_interval.low, found.delta_interval.high - found.delta
            if math.isfinite(low) and math.isfinite(high):
                axes.errorbar(found.si_sdr_improvement, row - 0.1, xerr=[[max(low, 0.0)], [max(high, 0.0)]], color="black", capsize=3)
        axes.annotate(label, (0.01, row - 0.1), xycoords=("axes fraction", "data"), va="center", fontsize=8, color="black",
                      bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1})  # fmt: skip
    axes.set_yticks(range(len(stages)), [f"{r.stage}{' (beside)' if r.beside else ''} · {r.set}" for r in stages], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("SI-SDR improvement, dB (whiskers: 95 % interval of the difference from float; orange: float on the same mixtures)")
    return svg(figure)


def layer_plot(parity: Parity) -> str:
    """SQNR of every inner tensor, free running, against BUILTIN_REF, in the network's order; one line a runtime."""
    figure = Figure(figsize=(9, 3))
    axes = figure.add_subplot()
    drawn = False
    for comparison, colour in zip(parity.layers.free, (BLUE, ORANGE, GREY, RED), strict=False):
        finite = [(k, t.sqnr) for k, t in enumerate(comparison.tensors) if math.isfinite(t.sqnr)]
        if finite:
            axes.plot(
                [k for k, _ in finite], [v for _, v in finite], ".-", color=colour, linewidth=0.6, markersize=3, label=comparison.runtime
            )
            drawn = True
    axes.set_xlabel("inner tensor, in the order of execution (equal tensors are not drawn)")
    axes.set_ylabel("SQNR, dB")
    if drawn:
        axes.legend(fontsize=7)
    return svg(figure)


def lsb_plot(parity: Parity) -> str:
    """Share of all inner values by distance in codes from BUILTIN_REF, free running; one group a runtime, logarithmic."""
    figure = Figure(figsize=(9, 3))
    axes = figure.add_subplot()
    count = max(len(parity.layers.free), 1)
    for number, comparison in enumerate(parity.layers.free):
        total = sum(comparison.histogram) or 1
        axes.bar(
            np.arange(len(LSB_LABELS)) + 0.8 * number / count,
            [h / total for h in comparison.histogram],
            0.8 / count,
            label=comparison.runtime,
        )
    axes.set_yscale("log")
    axes.set_xticks(np.arange(len(LSB_LABELS)) + 0.4, LSB_LABELS)
    axes.set_xlabel("difference, LSB")
    axes.set_ylabel("share of values")
    if parity.layers.free:
        axes.legend(fontsize=7)
    return svg(figure)


def svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same figure."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "parity"}):
        content = io.StringIO()
        figure.savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    return text[text.index("<svg") :]
