"""Plots of loss and theory, as SVG text: Fig. 1 and 2c of the FQSS paper for this file, and the loss of every stage by float SDR."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from validation.parity import Parity
from validation.plots import BLUE, GREY, ORANGE, RED, svg
from validation.sdr_bins import WIDTH_DB, middle
from validation.theory import EstimatePoint, predicted_loss, upper_bound


def sdr_plot(parity: Parity) -> str:
    """SDR of the quantized network against that of the float network: every estimate, the asymptotes of corollary III.1.1 (the float SDR
    and the SQNR), the predicted curve between them, and the bound of theorem III.1 at the mean correlation."""
    points = [p for p in parity.points if all(map(math.isfinite, (p.sdr, p.sdr_quantized, p.sqnr)))]
    figure = Figure(figsize=(9, 4.2))
    axes = figure.add_subplot()
    axes.scatter([p.sdr for p in points], [p.sdr_quantized for p in points], s=9, color=BLUE, alpha=0.5, label="one estimate")
    if points:
        sqnr = float(np.mean([p.sqnr for p in points]))
        sources, correlation = _sources_and_correlation(points)
        low, high = min(p.sdr for p in points), max(sqnr + 10, *(p.sdr for p in points))
        span = [float(x) for x in np.linspace(low, high, 120)]
        axes.plot(span, span, ":", color=GREY, label="asymptote: SDR of the float network")
        axes.axhline(sqnr, linestyle="--", color=GREY, label=f"asymptote: mean SQNR, {sqnr:.1f} dB")
        axes.plot(span, [x - predicted_loss(x, sqnr) for x in span], color=ORANGE, label="predicted, noise uncorrelated")
        bound = [upper_bound(x, sqnr, sources, correlation) for x in span]
        axes.plot(
            span, bound, color=RED, linewidth=0.9, label=f"bound of Theorem III.1, correlation {correlation:.2f}, {sources} source(s)"
        )
    axes.set_xlabel("SDR of the float network, dB")
    axes.set_ylabel("SDR quantized, dB")
    axes.legend(fontsize=7)
    return svg(figure)


def loss_plot(parity: Parity) -> str:
    """Mean loss of every stage in bins of the float SDR, with its 95 % interval, and beside it the predicted one."""
    figure = Figure(figsize=(9, 4.2))
    axes = figure.add_subplot()
    stages = [(name, list(found)) for name, found in groupby(parity.theory, key=lambda found: found.stage)]
    for number, (name, bins) in enumerate(stages):
        drawn = [b for b in bins if math.isfinite(b.loss) and math.isfinite(b.predicted)]
        centres = [middle((b.low, b.high)) + WIDTH_DB * (0.6 * (number + 0.5) / len(stages) - 0.3) for b in drawn]
        errors = [[max(0.0, b.loss - b.loss_interval.low) for b in drawn], [max(0.0, b.loss_interval.high - b.loss) for b in drawn]]
        bars = axes.errorbar(centres, [b.loss for b in drawn], yerr=errors, fmt="o", markersize=4, capsize=2, linewidth=0.8, label=name)
        axes.plot(centres, [b.predicted for b in drawn], "_", color=bars.lines[0].get_color(), markersize=10)
    axes.axhline(0, color=GREY, linewidth=0.7)
    axes.set_xlabel("SDR of the float network, dB, in bins of 5 dB (dash: predicted by SDR and SQNR)")
    axes.set_ylabel("loss, dB")
    axes.legend(fontsize=7)
    return svg(figure)


def snr_histogram(parity: Parity) -> str:
    """How many sources stand how far above the rest of their mixture: the SNR at which the sets ask."""
    snr = [p.snr for p in parity.points if math.isfinite(p.snr)]
    figure = Figure(figsize=(9, 2.6))
    axes = figure.add_subplot()
    if snr:
        edges = np.arange(2 * math.floor(min(snr) / 2), 2 * math.floor(max(snr) / 2) + 3, 2)
        axes.hist(snr, bins=edges.tolist(), color=BLUE)
    axes.set_xlabel("SNR of a source against the rest of its mixture, dB")
    axes.set_ylabel("sources")
    return svg(figure)


def _sources_and_correlation(points: list[EstimatePoint]) -> tuple[int, float]:
    """The number of sources of a mixture, and the mean over the mixtures of their largest correlation."""
    mixtures: dict[str, list[float]] = {}
    for point in points:
        mixtures.setdefault(point.id, []).append(point.correlation)
    return 1 + max(point.source for point in points), float(np.mean([max(found) for found in mixtures.values()]))
