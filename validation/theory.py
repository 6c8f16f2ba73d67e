"""Theorem III.1 of the FQSS paper, in its corrected form, and what it predicts for each mixture.

SDR is taken against the source as scaled in the float network's estimate, because networks trained on SI-SDR have no level of their own:
there the SDR of
the float estimate equals its SI-SDR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from validation.bootstrap import Interval, mean_interval
from validation.evaluation_set import Item
from validation.metrics import ratio_db, source_snr, split_by_projection
from validation.permutation import matched
from validation.record import Number, Record
from validation.stages import FULL_SCALE, Estimates

_TOLERANCE_DB = 1e-6


class EstimatePoint(Record):
    """One estimate: SDR of float and quantized, SQNR (dB), the correlation of model and quantization noise, and the SNR of its source."""

    id: str
    source: int
    snr: Number
    sdr: Number
    sdr_quantized: Number
    sqnr: Number
    correlation: Number

    @property
    def loss(self) -> float:
        """SDR lost by quantization, in dB."""
        return 0.0 if self.sdr == self.sdr_quantized else self.sdr - self.sdr_quantized


class TheoryBin(Record):
    """The estimates whose source has about ``snr`` dB: mean loss observed and predicted, in dB, and the 95 % interval of the mean of
    observed − predicted."""

    snr: Number
    n: int
    sdr: Number
    sqnr: Number
    loss: Number
    predicted: Number
    excess_interval: Interval


def predicted_loss(sdr: float, sqnr: float) -> float:
    """10·log10(1 + 10^((SDR − SQNR)/10)) dB: the loss where quantization noise is uncorrelated with the model's."""
    if sqnr == math.inf:
        return 0.0
    return float(10 * np.logaddexp(0.0, (sdr - sqnr) * math.log(10) / 10) / math.log(10))


def upper_bound(sdr: float, sqnr: float, sources: int, correlation: float) -> float:
    """Theorem III.1: the highest SDR_Q in dB, for ``sources`` M and the largest absolute correlation α_max.

    SDR − (10/M)·log10(1 + 10^(M(SDR−SQNR)/10)) + α~ with α~ = −10·log10(1 − α_max), as the appendix derives it; the theorem's text
    divides α~ by M, which does not follow.
    """
    if correlation >= 1 or sqnr == math.inf:
        return math.inf
    gap = float(10 / sources * np.logaddexp(0.0, sources * (sdr - sqnr) * math.log(10) / 10) / math.log(10))
    return sdr - gap - 10 * math.log10(1 - correlation)


def estimate_points(item: Item, reference: Estimates, quantized: Estimates) -> list[EstimatePoint]:
    """The points of one mixture; ``reference`` and ``quantized`` are [S, T] or [S, A, T], each matched to the sources on its own."""
    sources = item.sources / FULL_SCALE
    order, _ = matched(reference, item)
    quantized_order, _ = matched(quantized, item)
    snr = source_snr(sources, item.mixture / FULL_SCALE) if len(sources) > 1 else [math.inf]
    points = []
    for number, source in enumerate(sources):
        target, model_noise = split_by_projection(reference[order[number]], source)
        noise = quantized[quantized_order[number]] - reference[order[number]]
        noise = noise.reshape(-1) - noise.mean()
        energies = [float(np.sum(np.square(x))) for x in (target, model_noise, noise, noise + model_noise)]
        product = math.sqrt(energies[1] * energies[2])
        points.append(
            EstimatePoint(
                id=item.id,
                source=number,
                snr=snr[number],
                sdr=ratio_db(energies[0], energies[1]),
                sdr_quantized=ratio_db(energies[0], energies[3]),
                sqnr=ratio_db(energies[0], energies[2]),
                correlation=abs(float(np.dot(model_noise, noise))) / product if product else 0.0,
            )
        )
    return points


def bound_violations(points: Sequence[EstimatePoint]) -> list[str]:
    """Ids of the mixtures whose quantized SDR is above the theorem's bound: impossible unless a measurement is wrong."""
    broken = []
    for name in dict.fromkeys(point.id for point in points):
        group = [point for point in points if point.id == name]
        sdr, quantized, sqnr = (float(np.mean([getattr(p, key) for p in group])) for key in ("sdr", "sdr_quantized", "sqnr"))
        if quantized > upper_bound(sdr, sqnr, len(group), max(p.correlation for p in group)) + _TOLERANCE_DB:
            broken.append(name)
    return broken


def theory_bins(points: Sequence[EstimatePoint], width_db: float = 5.0) -> list[TheoryBin]:
    """Observed and predicted loss of the estimates, in bins of the SNR of their source (each bin named by its middle)."""
    bins: dict[float, list[EstimatePoint]] = {}
    for point in points:
        middle = point.snr if math.isinf(point.snr) else width_db * math.floor(point.snr / width_db + 0.5)
        bins.setdefault(middle, []).append(point)
    return [
        TheoryBin(
            snr=middle,
            n=len(group),
            sdr=float(np.mean([p.sdr for p in group])),
            sqnr=float(np.mean([p.sqnr for p in group])),
            loss=float(np.mean([p.loss for p in group])),
            predicted=float(np.mean([predicted_loss(p.sdr, p.sqnr) for p in group])),
            excess_interval=mean_interval([p.loss - predicted_loss(p.sdr, p.sqnr) for p in group]),
        )
        for middle, group in sorted(bins.items())
    ]
