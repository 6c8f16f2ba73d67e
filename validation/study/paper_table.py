"""Float, vanilla and FQSS in the rows of the paper's Table 1."""

from __future__ import annotations

import numpy as np

from validation.record import Number, Record
from validation.study.intervals import Mean, clustered_mean
from validation.study.request import StudyRequest
from validation.study.scores import Scores

MEGA, TERA = 1e6, 1e12


class TableRow(Record):
    """A network: its size by the paper's convention (10^6 bytes), its bit operations a second of audio (10^12), mean SI-SDR in dB by the
    SNR asked for and of the set test.

    Of the set test too: SDR with an allowed filter (:mod:`validation.filtered_sdr`), STOI (None where nothing is long enough for it), and
    the loss of SI-SDR against float (None of float itself).
    """

    network: str
    size_mb: Number
    tbops: Number
    by_snr: dict[str, Number]
    si_sdr: Number
    sdr: Number
    stoi: Number | None
    loss: Mean | None


def table_rows(request: StudyRequest, scores: Scores) -> list[TableRow]:
    """The float network and every arm. Float has 16 times the bit operations of int8, as 32 by 32 bits has of 8 by 8."""
    levels = sorted({e.snr_db for e in scores.estimates if e.set == "sweep" and e.snr_db is not None})
    places = {f"{level:+g} dB": scores.where(lambda e, level=level: e.set == "sweep" and e.snr_db == level) for level in levels}  # type: ignore[misc]
    test, size = scores.where(lambda e: e.set == "test"), request.size
    bops, bops_fqss = size["bops_paper"] / TERA, size["bops_fqss_paper"] / TERA
    facts = {"float": (size["size_float_mb"], 16 * bops)}
    for name, arm in request.study.arms.items():
        whole = arm.whole_method()
        fqss = whole.input == "split" or whole.output == "rqb"
        facts[name] = (size["size_fqss_mb"], bops_fqss) if fqss else (size["size_int8_mb"], bops)
    si_sdr = {"float": scores.sdr[None], **{name: arm.si_sdr for name, arm in scores.arms.items()}}
    sdr = {"float": np.array([[e.filtered_sdr for e in scores.estimates]]), **{name: arm.filtered_sdr for name, arm in scores.arms.items()}}
    heard = {"float": np.array([[e.stoi for e in scores.estimates]]), **{name: arm.stoi for name, arm in scores.arms.items()}}
    return [
        TableRow(
            network=name,
            size_mb=facts[name][0],
            tbops=facts[name][1],
            by_snr={label: float(values[:, positions].mean()) for label, positions in places.items()},
            si_sdr=float(values[:, test].mean()),
            sdr=float(sdr[name][:, test].mean()),
            loss=None if name == "float" else clustered_mean(scores.loss(name)[:, test], [scores.estimates[k].parts for k in test]),
            stoi=None if np.isnan(heard[name][:, test]).all() else float(np.nanmean(heard[name][:, test])),
        )
        for name, values in si_sdr.items()
    ]
