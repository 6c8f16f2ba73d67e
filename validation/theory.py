"""The theory of the FQSS paper (section III): what loss in SDR a given quantization noise must cause.

The SDR of an estimate is taken against its source as scaled in the float network's estimate, because networks trained on SI-SDR have no
level of their own. There the SDR of the float estimate equals its SI-SDR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from validation.bootstrap import Interval, mean_interval, paired_differences
from validation.evaluation_set import Item
from validation.metrics import ratio_db, source_snr, split_by_projection
from validation.permutation import matched
from validation.record import Number, Record
from validation.sdr_bins import binned
from validation.stages import FULL_SCALE, Estimates


class EstimatePoint(Record):
    """One estimate: SDR of the float network and of the stage, SQNR (dB), the absolute correlation of model and quantization noise, and
    the SNR of its source in the mixture (infinite where there is one source)."""

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
        return _difference(self.sdr_quantized, self.sdr)

    @property
    def predicted(self) -> float:
        """:func:`predicted_loss` of this estimate, in dB."""
        return predicted_loss(self.sdr, self.sqnr)

    @property
    def excess(self) -> float:
        """Loss beyond the predicted one, in dB."""
        return _difference(self.predicted, self.loss)


class SdrBin(Record):
    """The estimates of one stage whose float SDR lies in [``low``, ``high``) dB: means in dB, and the 95 % intervals of the mean loss and
    of the mean of observed less predicted loss."""

    stage: str
    low: Number
    high: Number
    n: int
    sdr: Number
    sqnr: Number
    loss: Number
    loss_interval: Interval
    predicted: Number
    excess_interval: Interval


def predicted_loss(sdr: float, sqnr: float) -> float:
    """10·log10(1 + 10^((SDR − SQNR)/10)) dB: the loss where quantization noise is uncorrelated with the float network's errors."""
    if sqnr == math.inf or sdr == -math.inf:
        return 0.0
    return float(10 * np.logaddexp(0.0, (sdr - sqnr) * math.log(10) / 10) / math.log(10))


def upper_bound(sdr: float, sqnr: float, sources: int, correlation: float) -> float:
    """Theorem III.1: the highest SDR in dB that the quantized network can have.

    SDR − (10/M)·log10(1 + 10^(M(SDR−SQNR)/10)) + α~ with α~ = −10·log10(1 − α_max), as the appendix derives it; the theorem's text
    divides α~ by M, which does not follow.

    Args:
        sdr, sqnr: means over the M ``sources`` of a mixture, in dB.
        correlation: α_max, the largest absolute correlation of model and quantization noise among them.
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
        sdr, sqnr, sdr_quantized = (_ratio(energies[0], energy) for energy in energies[1:])
        points.append(
            EstimatePoint(
                id=item.id,
                source=number,
                snr=snr[number],
                sdr=sdr,
                sdr_quantized=sdr_quantized,
                sqnr=sqnr,
                correlation=min(1.0, abs(float(np.dot(model_noise, noise))) / product) if product else 0.0,
            )
        )
    return points


def sdr_bins(stage: str, points: Sequence[EstimatePoint]) -> list[SdrBin]:
    """The points of one stage in bins of the float network's SDR, the lowest first; empty bins are left out."""
    bins = []
    for (low, high), positions in binned([point.sdr for point in points]).items():
        group = [points[position] for position in positions]
        bins.append(
            SdrBin(
                stage=stage,
                low=low,
                high=high,
                n=len(group),
                sdr=float(np.mean([p.sdr for p in group])),
                sqnr=float(np.mean([p.sqnr for p in group])),
                loss=float(np.mean([p.loss for p in group])),
                loss_interval=mean_interval([p.loss for p in group]),
                predicted=float(np.mean([p.predicted for p in group])),
                excess_interval=mean_interval([p.excess for p in group]),
            )
        )
    return bins


def _ratio(signal: float, noise: float) -> float:
    """The ratio in dB; of an estimate that is silent −inf, whatever the noise."""
    return -math.inf if signal == 0 else ratio_db(signal, noise)


def _difference(first: float, second: float) -> float:
    """second − first; of equal infinities 0."""
    return float(paired_differences([first], [second])[0])
