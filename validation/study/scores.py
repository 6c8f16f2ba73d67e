"""Scores of every estimate of every network of a study, against the float network on the same mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export_specs.foundation.progress import tracked
from validation.config import StageConfig
from validation.evaluation_set import EvaluationSet, Item, read_evaluation_set
from validation.filtered_sdr import filtered_sdr
from validation.metrics import stoi
from validation.permutation import matched
from validation.stages import FULL_SCALE, Estimates, stage_outputs
from validation.study.request import StudyRequest
from validation.theory import estimate_points

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Where an estimate belongs and what the float network's is like.

    ``parts``: what its mixture is made of; mixtures of the same voices at other SNRs have the same. ``snr_db`` of the mixture where the set
    asks for one, ``sdr`` of the float network (its SI-SDR). ``filtered_sdr`` (:mod:`validation.filtered_sdr`) and ``stoi`` of the float
    network where they were wanted, else NaN.
    """

    set: str
    mixture: str
    parts: str
    snr_db: float | None
    sdr: float
    filtered_sdr: float
    stoi: float


@dataclass(frozen=True)
class ArmScores:
    """Of one arm [seeds, estimates]: SI-SDR, plain SDR at the float network's level, SQNR against the float network and the correlation of
    its error with the float network's (:mod:`validation.theory`); filtered SDR and STOI where they were wanted, else NaN."""

    si_sdr: Figures
    sdr: Figures
    sqnr: Figures
    correlation: Figures
    filtered_sdr: Figures
    stoi: Figures


@dataclass(frozen=True)
class Scores:
    """All estimates of a study in one order, and the arms' scores of them."""

    estimates: list[Estimate]
    arms: dict[str, ArmScores]

    @property
    def sdr(self) -> Figures:
        """Of the float network, [estimates]."""
        return np.array([estimate.sdr for estimate in self.estimates])

    def loss(self, arm: str) -> Figures:
        """SI-SDR of the float network less that of the arm, dB [seeds, estimates]."""
        return self.sdr - self.arms[arm].si_sdr

    def where(self, condition: Callable[[Estimate], bool]) -> npt.NDArray[np.intp]:
        """The positions of some estimates."""
        return np.array([position for position, estimate in enumerate(self.estimates) if condition(estimate)], np.intp)


def score(request: StudyRequest) -> Scores:
    """The scores of a study's networks; filtered SDR and STOI for the paper's tables alone, as they take long.

    Raises:
        UserError: a set or a file of outputs is missing or does not fit.
    """
    in_full = request.study.kind == "table"
    sets = [read_evaluation_set(Path(path)) for path in request.sets.values()]
    references = [_outputs(str(request.reference), data) for data in sets]
    estimates = [estimate for data, reference in zip(sets, references, strict=True) for estimate in _estimates(data, reference, in_full)]
    arms: dict[str, list[ArmScores]] = {}
    for run in tracked(request.runs, "networks are scored"):
        found = [
            row
            for data, reference in zip(sets, references, strict=True)
            for row in _rows(data, reference, _outputs(run.outputs, data), in_full)
        ]
        arms.setdefault(run.arm, []).append(ArmScores(*np.array(found).T))
    return Scores(estimates, {name: _stacked(runs) for name, runs in arms.items()})


def _outputs(pattern: str, data: EvaluationSet) -> list[Estimates]:
    stage = StageConfig(name="outputs", kind="outputs", path=Path(pattern))
    found = stage_outputs(stage, data).estimates
    return [found[item.id] for item in data.items]


def _estimates(data: EvaluationSet, outputs: list[Estimates], in_full: bool) -> list[Estimate]:
    found, met, name = [], Counter[float | None](), data.manifest.name
    for item, output in zip(data.items, outputs, strict=True):
        parts = f"{name}/{met[item.snr_db]}"  # the sweep has the same voices in the same order at each SNR
        met[item.snr_db] += 1
        for point, heard in zip(estimate_points(item, output, output), _heard(item, output, data, in_full), strict=True):
            found.append(Estimate(name, f"{name}/{item.id}", parts, item.snr_db, point.sdr, *heard))
    return found


def _rows(data: EvaluationSet, references: list[Estimates], outputs: list[Estimates], in_full: bool) -> list[tuple[float, ...]]:
    """The scores of each estimate, in the order of ArmScores."""
    found: list[tuple[float, ...]] = []
    for item, reference, output in zip(data.items, references, outputs, strict=True):
        points, (_, ratios) = estimate_points(item, reference, output), matched(output, item)
        for point, ratio, heard in zip(points, ratios, _heard(item, output, data, in_full), strict=True):
            found.append((ratio, point.sdr_quantized, point.sqnr, point.correlation, *heard))
    return found


def _heard(item: Item, output: Estimates, data: EvaluationSet, wanted: bool) -> list[tuple[float, float]]:
    """(filtered SDR, STOI) of each estimate; of the set test, whose they are in the tables."""
    if not wanted or data.manifest.name != "test":
        return [(np.nan, np.nan)] * len(item.sources)
    order, _ = matched(output, item)
    found = []
    for source, place in zip(item.sources, order, strict=True):
        heard = stoi(output[place], source / FULL_SCALE, data.manifest.sample_rate)
        found.append((filtered_sdr(output[place], source), np.nan if heard is None else heard))
    return found


def _stacked(runs: list[ArmScores]) -> ArmScores:
    return ArmScores(*(np.stack([getattr(run, field.name) for run in runs]) for field in fields(ArmScores)))
