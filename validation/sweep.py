"""The sweep over the SNR of the mixture (−10, 0, 10 dB): where quantization hurts, against where the theorem says it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from export_specs.foundation.errors import UserError
from validation.evaluation_set import Item
from validation.ladder import ItemScore, Summary, summarise
from validation.record import Number, Record
from validation.theory import EstimatePoint, predicted_loss


class SweepPoint(Record):
    """One stage at one SNR of the first source. ``predicted_loss`` is the theorem's mean loss in dB, None but for the subject."""

    set: str
    stage: str
    snr_db: Number
    summary: Summary
    predicted_loss: Number | None


def sweep(
    set_name: str,
    items: Sequence[Item],
    scores: Mapping[str, Sequence[ItemScore]],
    reference: Mapping[str, ItemScore],
    subject: str,
    points: Sequence[EstimatePoint],
) -> list[SweepPoint]:
    """Means of every stage (name: scores) at every SNR of the set.

    Raises:
        UserError: an item of the set has no ``snr_db``.
    """
    without = [item.id for item in items if item.snr_db is None]
    if without:
        raise UserError(f"the sweep set '{set_name}' must give snr_db for every item; '{without[0]}' has none")
    results = []
    for snr in sorted({item.snr_db for item in items if item.snr_db is not None}):
        ids = {item.id for item in items if item.snr_db == snr}
        expected = [predicted_loss(p.sdr, p.sqnr) for p in points if p.id in ids]
        for stage, found in scores.items():
            chosen = [score for score in found if score.id in ids]
            if chosen:
                predicted = float(np.mean(expected)) if stage == subject and expected else None
                results.append(
                    SweepPoint(set=set_name, stage=stage, snr_db=snr, summary=summarise(chosen, reference), predicted_loss=predicted)
                )
    return results
