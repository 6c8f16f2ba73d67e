"""The outputs of every stage of the ladder on an evaluation set: read from the trainer's files, or run by edge_runtime."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.parallel import separate_many
from export_specs.foundation.atomic import atomic_path, sha256
from export_specs.foundation.code_version import code_digest, library_versions
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import tracked
from validation.config import StageConfig
from validation.evaluation_set import EvaluationSet, Item

FULL_SCALE = 32768.0
RUNNER = separate_many.__module__
Estimates = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StageOutputs:
    """Estimates [S, T] or [S, A, T] by item id, float64 with 1.0 = full scale. ``seconds`` is wall time, None where read from a file."""

    estimates: Mapping[str, Estimates]
    seconds: float | None


def stage_outputs(
    stage: StageConfig,
    data: EvaluationSet,
    workers: int | None = None,
    cache: Path | None = None,
) -> StageOutputs:
    """The stage's estimates for the items of a set (the first ``stage.items`` of them).

    Args:
        cache: a folder that keeps what models gave, keyed by the model, the runtime, the data, the code that runs it and the versions of
            the libraries that this code imports, the runtimes among them.

    Raises:
        UserError: a missing or unfit outputs file; what edge_runtime raises.
    """
    items = data.items[: stage.items]
    if stage.kind == "outputs":
        path = Path(str(stage.path).replace("{set}", data.manifest.name))
        return StageOutputs(_read_outputs(path, stage.name, items), None)
    kept = None if cache is None else cache / f"{_key(stage, data, items)}.npz"
    if kept is not None and kept.is_file():
        return StageOutputs(_read_outputs(kept, stage.name, items), None)
    assert stage.runtime is not None
    start = time.monotonic()
    separated = {}
    clips = [item.mixture for item in items]
    results = separate_many(stage.path, stage.runtime, clips, workers, sample_rate=data.manifest.sample_rate)
    for item, pcm in zip(items, tracked(results, f"{data.manifest.name}: {stage.name} runs, mixture", len(clips)), strict=True):
        separated[item.id] = pcm
    seconds = time.monotonic() - start
    if kept is not None:
        with atomic_path(kept) as temporary:
            np.savez(temporary, **separated)  # type: ignore[arg-type]
    return StageOutputs(
        {name: _checked(pcm, stage.path, stage.name, item) for item, (name, pcm) in zip(items, separated.items(), strict=True)}, seconds
    )


def _read_outputs(path: Path, stage: str, items: tuple[Item, ...]) -> dict[str, Estimates]:
    if not path.is_file():
        raise UserError(f"the outputs of stage '{stage}' are missing: {path}")
    found = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [item.id for item in items if item.id not in archive.files]
            if missing:
                raise UserError(f"{path} lacks {len(missing)} of {len(items)} items of stage '{stage}', the first is '{missing[0]}'")
            for item in items:
                found[item.id] = _checked(archive[item.id], path, stage, item)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not an npz of plain arrays: {error}") from error
    return found


def _checked(array: npt.NDArray[np.generic], path: Path, stage: str, item: Item) -> Estimates:
    where = f"item '{item.id}' of stage '{stage}' ({path})"
    if array.dtype not in (np.int16, np.float32, np.float64) or array.shape != item.sources.shape:
        raise UserError(f"{where} is {array.dtype} {list(array.shape)}; expected int16 or float32 {list(item.sources.shape)}")
    if array.dtype == np.int16:
        return array.astype(np.float64) / FULL_SCALE
    if not np.isfinite(array.astype(np.float64)).all():
        raise UserError(f"{where} holds NaN or infinity: the stage is not fit for use")
    return array.astype(np.float64)


def _key(stage: StageConfig, data: EvaluationSet, items: tuple[Item, ...]) -> str:
    digest = hashlib.sha256()
    code = code_digest(RUNNER), json.dumps(library_versions(RUNNER))
    for part in (*code, sha256(stage.path), str(stage.runtime), data.manifest_sha256):
        digest.update(part.encode())
    for item in items:
        digest.update(item.mixture.tobytes())
        digest.update(item.id.encode())
    return digest.hexdigest()[:32]
