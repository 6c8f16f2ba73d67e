"""A study's plot, as SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from validation.plots import BLUE, GREY, ORANGE, RED, svg
from validation.sdr_bins import WIDTH_DB
from validation.study.bound import BoundRow
from validation.study.results import Group, Kind
from validation.study.scores import Scores
from validation.theory import predicted_loss


def loss_plot(groups: Sequence[Group]) -> str:
    """Loss of every arm by the SNR asked for, and by the float network's SDR, with 95 % intervals."""
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    _losses(left, [group for group in groups if group.kind == "snr"], "snr")
    _losses(right, [group for group in groups if group.kind == "sdr"], "sdr")
    left.set_xlabel("SNR of the first source, dB")
    left.set_ylabel("loss of SI-SDR against float, dB")
    right.set_xlabel(f"SDR of the float network, dB, in bins of {WIDTH_DB:g} dB and more")
    right.legend(fontsize=7)
    return svg(figure)


def _losses(axes: Axes, groups: list[Group], kind: Kind) -> None:
    names = [figures.arm for figures in groups[0].arms] if groups else []
    for number, name in enumerate(names):
        places, means, errors = [], [], ([], [])  # type: ignore[var-annotated]
        for position, group in enumerate(groups):
            loss = next(figures.loss for figures in group.arms if figures.arm == name)
            if math.isfinite(loss.mean):
                places.append(position + 0.6 * ((number + 0.5) / len(names) - 0.5))
                means.append(loss.mean)
                errors[0].append(max(0.0, loss.mean - loss.interval.low))
                errors[1].append(max(0.0, loss.interval.high - loss.mean))
        axes.errorbar(places, means, yerr=errors, fmt="o", markersize=4, capsize=2, linewidth=0.8, label=name)
    axes.set_xticks(range(len(groups)), [_short(group, kind) for group in groups], fontsize=8)
    axes.axhline(0, color=GREY, linewidth=0.7)


def _short(group: Group, kind: Kind) -> str:
    if kind == "snr":
        return f"{group.low:+g}"
    if math.isinf(group.low):
        return f"< {group.high:g}"
    return f"≥ {group.low:g}" if math.isinf(group.high) else f"{group.low:g}–{group.high:g}"


def bound_plot(scores: Scores, rows: Sequence[BoundRow]) -> str:
    """Every estimate of each arm, the asymptotes, the curve of uncorrelated noise, and the bound in the middle of each bin."""
    figure = Figure(figsize=(5 * len(scores.arms), 4))
    for axes, (name, arm) in zip(np.atleast_1d(figure.subplots(1, len(scores.arms), sharey=True)), scores.arms.items(), strict=True):
        sqnr = float(arm.sqnr.mean())
        axes.scatter(np.tile(scores.sdr, len(arm.sdr)), arm.sdr.ravel(), s=6, color=BLUE, alpha=0.4, label="one estimate")
        span = [float(x) for x in np.linspace(float(scores.sdr.min()), max(sqnr + 5, float(scores.sdr.max())), 100)]
        axes.plot(span, span, ":", color=GREY, label="asymptote: SDR of float")
        axes.axhline(sqnr, linestyle="--", color=GREY, label=f"asymptote: mean SQNR, {sqnr:.1f} dB")
        axes.plot(span, [x - predicted_loss(x, sqnr) for x in span], color=ORANGE, label="noise uncorrelated")
        drawn = [row for row in rows if row.arm == name and math.isfinite(row.bound) and row.label.startswith("float")]
        axes.plot([row.sdr for row in drawn], [row.bound for row in drawn], ".-", color=RED, linewidth=0.9, label="bound, mean of a bin")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("SDR of the float network, dB")
        axes.legend(fontsize=6)
    figure.axes[0].set_ylabel("SDR quantized, dB")
    return svg(figure)


def histogram_plot(snr: Sequence[float]) -> str:
    """Sources by their SNR against the rest of their mixture, in bins of 2 dB."""
    figure = Figure(figsize=(7, 3))
    axes = figure.add_subplot()
    edges = np.arange(2 * math.floor(min(snr) / 2), 2 * math.floor(max(snr) / 2) + 3, 2)
    axes.hist(snr, bins=edges.tolist(), color=BLUE)
    axes.set_xlabel("SNR of a source against the rest of its mixture, dB")
    axes.set_ylabel("sources")
    return svg(figure)


def bars_plot(labels: Sequence[str], values: dict[str, list[float]], what: str) -> str:
    """Groups of bars: for each label one bar of every name."""
    figure = Figure(figsize=(7, 3))
    axes = figure.add_subplot()
    for number, (name, heights) in enumerate(values.items()):
        axes.bar([k + 0.8 * number / len(values) for k in range(len(labels))], heights, 0.75 / len(values), label=name)
    axes.set_xticks([k + 0.4 - 0.4 / len(values) for k in range(len(labels))], labels)
    axes.set_ylabel(what)
    axes.legend(fontsize=7)
    return svg(figure)
