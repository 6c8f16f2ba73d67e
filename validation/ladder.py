"""The parity ladder: the same mixtures through every stage, scored alike and compared with the float network item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from validation.bootstrap import Interval, fifth_percentile, fifth_percentile_interval, mean_interval, paired_differences
from validation.evaluation_set import Item
from validation.metrics import sdr, sdr_of_windows, si_sdr, sqnr, stoi
from validation.permutation import matched
from validation.record import Number, Record
from validation.stages import FULL_SCALE, Estimates


class ItemScore(Record):
    """One mixture in one stage, in dB unless said. ``si_sdr``, ``sdr`` and ``stoi`` are means over the sources.

    ``order`` says which estimate belongs to source 0, 1, …; ``source_si_sdr`` and ``source_sdr`` are in the order of the sources. SDR is
    eq. (2) of the FQSS paper for speech and museval's for music. ``stoi`` is for speech alone, None for music and where a source holds
    too little speech for it. ``sqnr`` is the float stage's waveform against its difference from this stage's, each in its own order.
    """

    id: str
    subset: str
    si_sdr: Number
    si_sdr_input: Number
    sdr: Number
    source_si_sdr: tuple[Number, ...]
    source_sdr: tuple[Number, ...]
    stoi: Number | None
    order: tuple[int, ...]
    sqnr: Number

    @property
    def si_sdr_improvement(self) -> float:
        """SI-SDR over that of the unprocessed mixture, in dB."""
        return self.si_sdr - self.si_sdr_input


class Summary(Record):
    """Means over ``n`` mixtures.

    ``float_si_sdr`` and ``float_si_sdr_improvement`` are the float stage's over the same mixtures, so that a stage that ran on few is
    compared with the same few. ``delta`` is this stage − float in dB SI-SDR, ``delta_p5`` its 5th percentile, ``sdr_delta`` the same in
    dB SDR, each with its 95 % interval. ``stoi_n`` of the mixtures have a STOI.
    """

    n: int
    float_si_sdr: Number
    float_si_sdr_improvement: Number
    si_sdr: Number
    si_sdr_improvement: Number
    sdr: Number
    stoi: Number | None
    sqnr: Number
    delta: Number
    delta_interval: Interval
    delta_p5: Number
    delta_p5_interval: Interval
    sdr_delta: Number
    sdr_delta_interval: Interval
    stoi_delta: Number | None
    stoi_n: int
    order_agreement: Number


class StageResult(Record):
    """One stage on one evaluation set: all its items, their means, and the means of each subset."""

    stage: str
    beside: bool
    set: str
    runtime: str | None
    seconds_per_second: Number | None
    summary: Summary
    subsets: dict[str, Summary]
    items: list[ItemScore]


def score_item(item: Item, estimates: Estimates, reference: Estimates, sample_rate: int, floating: ItemScore | None = None) -> ItemScore:
    """Score the [S, T] or [S, A, T] estimates of one mixture.

    ``reference`` holds the float stage's estimates, ``floating`` its score where that is known already. Estimates are float64, 1.0 = full
    scale.
    """
    sources = item.sources / FULL_SCALE
    mixture = item.mixture / FULL_SCALE
    order, ratios = matched(estimates, item)
    float_order = matched(reference, item)[0] if floating is None else floating.order
    if floating is None:
        unprocessed = float(np.mean([si_sdr(mixture, source) for source in sources]))
    else:
        unprocessed = floating.si_sdr_input
    ordered = estimates[list(order)]
    source_sdr = sdr_of_windows(ordered, sources, sample_rate) if item.named else sdr(ordered, sources)
    speech = [] if item.named else list(zip(ordered, sources, strict=True))
    return ItemScore(
        id=item.id,
        subset=item.subset,
        si_sdr=float(np.mean(ratios)),
        si_sdr_input=unprocessed,
        sdr=float(np.mean(source_sdr)),
        source_si_sdr=tuple(ratios),
        source_sdr=tuple(source_sdr),
        stoi=_mean([stoi(estimate, source, sample_rate) for estimate, source in speech]),
        order=order,
        sqnr=sqnr(reference[list(float_order)], ordered),
    )


def summarise(scores: Sequence[ItemScore], reference: Mapping[str, ItemScore]) -> Summary:
    """Means of the scores, and their paired differences from the float stage's scores (by item id)."""
    paired = [reference[score.id] for score in scores]
    delta = paired_differences([r.si_sdr for r in paired], [s.si_sdr for s in scores])
    sdr_delta = paired_differences([r.sdr for r in paired], [s.sdr for s in scores])
    speech = [(r.stoi, s.stoi) for r, s in zip(paired, scores, strict=True) if r.stoi is not None and s.stoi is not None]
    return Summary(
        n=len(scores),
        float_si_sdr=float(np.mean([r.si_sdr for r in paired])),
        float_si_sdr_improvement=float(np.mean([r.si_sdr_improvement for r in paired])),
        si_sdr=float(np.mean([s.si_sdr for s in scores])),
        si_sdr_improvement=float(np.mean([s.si_sdr_improvement for s in scores])),
        sdr=float(np.mean([s.sdr for s in scores])),
        stoi=_mean([after for _, after in speech]),
        sqnr=float(np.mean([s.sqnr for s in scores])),
        delta=float(delta.mean()),
        delta_interval=mean_interval(delta),
        delta_p5=fifth_percentile(delta),
        delta_p5_interval=fifth_percentile_interval(delta),
        sdr_delta=float(sdr_delta.mean()),
        sdr_delta_interval=mean_interval(sdr_delta),
        stoi_delta=_mean([after - before for before, after in speech]),
        stoi_n=len(speech),
        order_agreement=float(np.mean([s.order == r.order for s, r in zip(scores, paired, strict=True)])),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Their mean; None where there is none, or one was not measured."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def judge_stage(
    name: str,
    scores: list[ItemScore],
    reference: Mapping[str, ItemScore],
    *,
    set_name: str,
    beside: bool = False,
    runtime: str | None = None,
    seconds_per_second: float | None = None,
) -> StageResult:
    """The result of one stage: whole set and each subset apart."""
    subsets = sorted({score.subset for score in scores})
    return StageResult(
        stage=name,
        beside=beside,
        set=set_name,
        runtime=runtime,
        seconds_per_second=seconds_per_second,
        summary=summarise(scores, reference),
        subsets={subset: summarise([s for s in scores if s.subset == subset], reference) for subset in subsets},
        items=scores,
    )


def mean_difference(first: StageResult, second: StageResult) -> tuple[float, Interval, int]:
    """Mean of second − first in dB SI-SDR over the items that both have, its interval and their number.

    Raises:
        ValueError: they share no item.
    """
    scores = {score.id: score.si_sdr for score in first.items}
    pairs = [(scores[score.id], score.si_sdr) for score in second.items if score.id in scores]
    delta = paired_differences([a for a, _ in pairs], [b for _, b in pairs])
    return float(delta.mean()), mean_interval(delta), len(pairs)
