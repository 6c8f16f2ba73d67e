"""Every mixture of a test set through every file, over processes; what is done is kept, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.segments import separate
from export_specs.foundation.atomic import sha256
from export_specs.foundation.code_version import code_digest, library_versions
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import tracked
from validation.evaluation_set import Item, Pcm
from validation.filtered_sdr import filtered_sdr
from validation.ladder import ItemScore, score_item
from validation.record import Number, Record
from validation.scoring import scorer
from validation.stages import FULL_SCALE
from validation.whole_set.files import UnfitError, WholeItem, WholeSet, read_item
from validation.whole_set.tracks import score_track


@dataclass(frozen=True)
class WholeStage:
    """A file that is evaluated: its name in the table, and the runtime that runs it."""

    name: str
    path: Path
    runtime: str


class WholeScore(Record):
    """One mixture through one file. ``filtered_sdr``: of speech, the mean over the sources of :mod:`validation.filtered_sdr`."""

    score: ItemScore
    filtered_sdr: Number | None


class Found(Record):
    """What became of one mixture: its score in each stage by name, or why it was left out. ``key`` names all that it came from."""

    key: str
    id: str
    scores: dict[str, WholeScore] = Field(default={})
    left_out: str = ""


def evaluate(whole: WholeSet, stages: Sequence[WholeStage], results: Path, workers: int | None = None, cluster: str = "") -> list[Found]:
    """Score all mixtures, in the order of the set; the first stage is the one that others are compared with.

    Args:
        results: a file of JSON lines, one for each mixture that is done; lines of other files, runtimes, data or code are not used.
        workers: processes; by default one for each processor. The result does not depend on it.
        cluster: address of a Ray cluster whose computers score instead.

    Raises:
        UserError: a file that its runtime cannot run, or that is of another rate or other sources than the set; an audio file that is
            missing or bad.
    """
    for stage in stages:
        _check(whole, stage, _opened(stage.path, stage.runtime, whole.sample_rate))
    common = _common_key(whole, stages)
    keys = {item.id: _key(common, item) for item in whole.items}
    wanted = set(keys.values())
    done = {found.key: found for found in _read(results) if found.key in wanted}
    waiting = [item for item in whole.items if keys[item.id] not in done]
    results.parent.mkdir(parents=True, exist_ok=True)
    facts = whole.model_copy(update={"items": whole.items[:1]})  # the list itself is not sent with each job
    with scorer(workers, cluster) as scoring, results.open("a") as stream:
        jobs = [(facts, item, tuple(stages), keys[item.id]) for item in waiting]
        for found in tracked(scoring.map(score, jobs), f"{whole.name}, mixture", len(jobs)):
            stream.write(found.model_dump_json() + "\n")
            stream.flush()
            done[found.key] = found
    return [done[keys[item.id]] for item in whole.items]


def score(whole: WholeSet, item: WholeItem, stages: tuple[WholeStage, ...], key: str) -> Found:
    """One mixture through all files; ``whole`` tells of the set, its list is not looked at."""
    try:
        heard = read_item(whole, item)
    except UnfitError as error:
        return Found(key=key, id=item.id, left_out=str(error))
    scores: dict[str, WholeScore] = {}
    reference, floating = None, None
    for stage in stages:
        estimates = separate(_opened(stage.path, stage.runtime, whole.sample_rate), heard.mixture)
        reference = estimates if reference is None else reference
        scores[stage.name] = _scored(heard, estimates, reference, whole.sample_rate, floating)
        floating = floating or scores[stage.name].score
    return Found(key=key, id=item.id, scores=scores)


def _scored(item: Item, estimates: Pcm, reference: Pcm, sample_rate: int, floating: ItemScore | None) -> WholeScore:
    if item.named:
        return WholeScore(score=score_track(item, estimates, reference, sample_rate), filtered_sdr=None)
    found = score_item(item, estimates / FULL_SCALE, reference / FULL_SCALE, sample_rate, floating)
    ratios = [filtered_sdr(estimates[place], source) for place, source in zip(found.order, item.sources, strict=True)]
    return WholeScore(score=found, filtered_sdr=float(np.mean(ratios)))


@cache
def _opened(path: Path, runtime: str, sample_rate: int) -> FileRuntime:
    """Opened once in each process."""
    return open_runtime(path, runtime, sample_rate=sample_rate)


def _check(whole: WholeSet, stage: WholeStage, runtime: FileRuntime) -> None:
    sources, waveform = len(whole.items[0].sources), runtime.waveform[:-1] or (1,)
    if runtime.sources != sources or waveform != (whole.audio_channels,):
        raise UserError(
            f"{stage.path} gives {runtime.sources} sources of {waveform[0]} channel(s); the test set {whole.name} has {sources} of "
            f"{whole.audio_channels}"
        )
    if runtime.source_names and list(runtime.source_names) != whole.source_names:
        raise UserError(
            f"{stage.path} separates {', '.join(runtime.source_names)}; the test set {whole.name} has "
            f"{', '.join(whole.source_names) or 'speakers'}"
        )


def _common_key(whole: WholeSet, stages: Sequence[WholeStage]) -> list[str]:
    facts = whole.model_dump_json(exclude={"items", "description"})
    return [facts, *code_version(), *(part for stage in stages for part in (stage.name, stage.runtime, sha256(stage.path)))]


def code_version() -> tuple[str, str]:
    """Digest of the code that gives a score, and the versions of the libraries that it imports."""
    return code_digest(__name__), json.dumps(library_versions(__name__))


def _key(common: Sequence[str], item: WholeItem) -> str:
    """Of everything a score comes from; of the audio files their sizes, as their content would be read twice."""
    paths = [Path(path) for path in (*item.sources, item.mixture, item.noise) if path is not None]
    sizes = [str(path.stat().st_size) if path.is_file() else "missing" for path in paths]
    return hashlib.sha256("\n".join([*common, item.model_dump_json(), *sizes]).encode()).hexdigest()[:32]


def _read(results: Path) -> list[Found]:
    """The lines of an earlier run; one that was cut off when it was killed is not there."""
    found = []
    for line in results.read_text().splitlines() if results.is_file() else []:
        try:
            found.append(Found.model_validate_json(line))
        except ValidationError:
            continue
    return found
