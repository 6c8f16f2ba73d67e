"""What to judge: the schema of judge.json. Paths are relative to that file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from export_specs.foundation.errors import UserError
from export_specs.inheritance import is_file_name

DEFAULT_LEVELS_DB = (6, 12, 20, 40)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageConfig(_Strict):
    """One rung of the ladder.

    ``kind`` "outputs": ``path`` is an npz of [S, T] arrays by item id, int16 or float32 with 1.0 = full scale; "{set}" in the path stands
    for the name of the evaluation set. ``kind`` "model": ``path`` is a ``.onnx`` or ``.tflite`` file that edge_runtime runs in
    ``runtime``. ``items`` limits the stage to the first so many items of a set.
    """

    name: str
    kind: Literal["outputs", "model"]
    path: Path
    runtime: str | None = None
    items: int | None = Field(default=None, gt=0)
    beside: bool = Field(default=False, description="a baseline beside the ladder (vanilla QAT, PTQ), not a step of it")

    @model_validator(mode="after")
    def _check(self) -> StageConfig:
        if (self.kind == "model") != (self.runtime is not None):
            raise ValueError(f"stage {self.name}: a stage of kind 'model' names its runtime, one of kind 'outputs' does not")
        return self


class SetConfig(_Strict):
    """One evaluation set. ``role`` "test" feeds the task gates, "sweep" the SNR sweep, "extra" is reported beside. ``stages`` None means
    all."""

    path: Path
    role: Literal["test", "sweep", "extra"] = "test"
    items: int | None = Field(default=None, gt=0)
    stages: list[str] | None = None


class Provenance(_Strict):
    """Where the artefacts come from: the digests of their parents (name: sha256)."""

    digests: dict[str, str] = {}


class JudgeConfig(_Strict):
    """A whole judgement. ``reference`` is the float stage, ``subject`` the one that ships; ``profile`` chooses the task threshold."""

    model: str
    target: str = Field(description="name of a target, or a YAML file")
    profile: Literal["ptq", "quick", "full"]
    tflite: Path | None = None
    onnx: Path | None = None
    float_onnx: Path | None = None
    stream_tflite: Path | None = Field(default=None, description="the same network as a file that is run step by step")
    stream_onnx: Path | None = None
    layer_noise: Path | None = Field(default=None, description="the trainer's noise of each layer, JSON (validation/layers.py)")
    parameters: int | None = Field(default=None, gt=0, description="parameters of the float network; by default counted in the file")
    reference: str = "float"
    subject: str = "litert-ref"
    stages: list[StageConfig] = Field(min_length=2)
    refused: dict[str, str] = Field(default={}, description="baselines whose converter did not convert the network, and its reason")
    sets: list[SetConfig] = Field(min_length=1)
    layer_clips: int = Field(default=2, gt=0, description="segments on which every inner tensor is compared")
    level_items: int = Field(default=4, ge=0, description="mixtures that are judged softer; 0 leaves this out")
    level_runtime: str | None = None
    levels_db: list[int] = list(DEFAULT_LEVELS_DB)
    audio_items: int = Field(default=4, ge=0)
    golden_tensors: list[str] | None = Field(default=None, description="inner tensors in golden_vectors.npz; None: a spread of 16")
    workers: int | None = Field(default=None, gt=0)
    cache: Path | None = None
    gate_files: list[Path] = Field(default=[], description="Python files with gates beside those of validation/gates")
    reproduce: str = ""
    provenance: Provenance = Provenance()

    @model_validator(mode="after")
    def _check(self) -> JudgeConfig:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError("two stages have the same name")
        for role, name in (("reference", self.reference), ("subject", self.subject)):
            if name not in names:
                raise ValueError(f"{role} '{name}' is no stage; there are {', '.join(names)}")
        for entry in self.sets:
            unknown = [name for name in entry.stages or [] if name not in names]
            if unknown:
                raise ValueError(f"the set {entry.path} names stages that do not exist: {', '.join(unknown)}")
            if entry.stages is not None and self.reference not in entry.stages:
                raise ValueError(f"the set {entry.path} leaves out the reference stage '{self.reference}'")
        if not any(entry.role == "test" for entry in self.sets):
            raise ValueError("one of the sets must have the role 'test'")
        if self.tflite is None and self.onnx is None:
            raise ValueError("give tflite or onnx, the file that is judged")
        if self.level_items and not self.levels_db:
            raise ValueError("levels_db is empty: name levels, or set level_items to 0")
        return self


def read_config(path: Path) -> JudgeConfig:
    """Read a judge.json; its paths become absolute.

    Raises:
        UserError: unreadable, not JSON, or breaking the schema (each fault is named).
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    try:
        config = JudgeConfig.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors())
        raise UserError(f"{path} is not a valid judge.json: {faults}") from error
    return _absolute(config, path.resolve().parent)


def _absolute(config: JudgeConfig, base: Path) -> JudgeConfig:
    def fix(item: Path | None) -> Path | None:
        return None if item is None else base / item

    return config.model_copy(
        update={
            "target": str(base / config.target) if is_file_name(config.target) else config.target,
            "tflite": fix(config.tflite),
            "onnx": fix(config.onnx),
            "float_onnx": fix(config.float_onnx),
            "stream_tflite": fix(config.stream_tflite),
            "stream_onnx": fix(config.stream_onnx),
            "layer_noise": fix(config.layer_noise),
            "cache": fix(config.cache),
            "gate_files": [base / path for path in config.gate_files],
            "stages": [stage.model_copy(update={"path": base / stage.path}) for stage in config.stages],
            "sets": [entry.model_copy(update={"path": base / entry.path}) for entry in config.sets],
        }
    )
