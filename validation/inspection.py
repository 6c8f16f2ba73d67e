"""Everything that is judged on the file and a few segments: structure, behaviour, inner tensors, golden inputs, costs, golden vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from export_specs.schema import TargetSpec
from validation.accounting import Cost, count_onnx_float, count_tflite
from validation.behaviour import RuntimeBehaviour, observe
from validation.config import JudgeConfig
from validation.evaluation_set import EvaluationSet
from validation.golden_inputs import OpComparison, forced_onnx, forced_tflite
from validation.golden_vectors import write_golden_vectors
from validation.layers import RuntimeComparison, compare_runtime, first_segments, golden_taps, unlike_golden
from validation.structure import Structure, audit
from validation.tflite_graph import TfliteGraph

_STREAMED_SEGMENTS = 2.4
_FAST = ("litert-xnnpack", "onnxruntime")


@dataclass(frozen=True)
class Inspection:
    """What was found. ``ops`` names the operator of each tensor of the TFLite file, ``overwritten`` the clips (of how many: ``clips``)
    whose output depends on whether inner tensors are kept."""

    structure: Structure
    behaviour: list[RuntimeBehaviour]
    free: list[RuntimeComparison]
    golden_inputs: dict[str, list[OpComparison]]
    overwritten: list[str]
    clips: int
    ops: dict[str, str]
    cost: Cost | None
    float_cost: Cost | None
    segment_samples: int

    @property
    def counted_parameters(self) -> int:
        """Values in the constants of the float network, or else of the TFLite file, or else (ONNX alone) as many as its constants have
        bytes."""
        cost = self.float_cost or self.cost
        return self.structure.constant_bytes if cost is None else cost.constants

    @property
    def arena_bytes(self) -> int | None:
        """TFLM's arena; None where it does not run the file."""
        return next((b.arena_bytes for b in self.behaviour if b.arena_bytes is not None), None)


def artefact(config: JudgeConfig, target: TargetSpec) -> Path:
    """The file that ships for the target.

    Raises:
        UserError: judge.json does not name a file of the target's format.
    """
    path = config.onnx if target.format == "onnx" else config.tflite
    if path is None:
        raise UserError(f"the target '{target.name}' ships {target.format}: judge.json must name it as '{target.format}'")
    return path


def inspect(config: JudgeConfig, target: TargetSpec, data: EvaluationSet, out: Path, say: Callable[[str], None]) -> Inspection:
    """Inspect the target's file; golden_vectors.npz is written into ``out``. ``say`` is told what begins."""
    path = artefact(config, target)
    rate = data.manifest.sample_rate
    say("structure")
    structure = audit(path, target.allowed_ops)
    segment = open_runtime(path, sample_rate=rate).segment_samples
    recording = _recording(data, int(_STREAMED_SEGMENTS * segment))
    behaviour = []
    for runtime in target.runtimes:
        file = config.onnx if runtime == "onnxruntime" else config.tflite
        if file is not None:
            say(f"behaviour in {runtime}")
            behaviour.append(observe(file, runtime, recording, rate, stream=runtime in _FAST))
    running = [b.runtime for b in behaviour if b.problem is None]
    clips = first_segments(data.items, config.layer_clips, segment)
    say("golden tensors")
    golden = golden_taps(path, clips, rate)
    write_golden_vectors(out / "golden_vectors.npz", clips, golden, config.golden_tensors)
    free: list[RuntimeComparison] = []
    forced: dict[str, list[OpComparison]] = {}
    ops: dict[str, str] = {}
    overwritten: list[str] = []
    if target.format == "tflite":
        graph = TfliteGraph.read(path)
        ops = {graph.tensors[index].name: operator.name for index, operator in graph.computed.items()}
        overwritten = unlike_golden(path, clips, golden, rate)
        for runtime in (r for r in running if r != "litert-ref"):
            say(f"inner tensors in {runtime}")
            file = config.onnx if runtime == "onnxruntime" else path
            assert file is not None
            free.append(compare_runtime(file, runtime, clips, golden, rate))
        if not structure.float_tensors:
            say("op by op with golden inputs")
            if "litert-xnnpack" in running:
                forced["litert-xnnpack"] = forced_tflite(path, clips)
            if "onnxruntime" in running and config.onnx is not None:
                forced["onnxruntime"] = forced_onnx(config.onnx, golden, clips)
    return Inspection(
        structure=structure,
        behaviour=behaviour,
        free=free,
        golden_inputs=forced,
        overwritten=overwritten,
        clips=len(clips),
        ops=ops,
        cost=count_tflite(config.tflite, rate, segment) if config.tflite is not None else None,
        float_cost=count_onnx_float(config.float_onnx, rate, segment) if config.float_onnx is not None else None,
        segment_samples=segment,
    )


def _recording(data: EvaluationSet, samples: int) -> np.typing.NDArray[np.int16]:
    """The mixtures one after the other, again and again: [samples] or [A, samples]."""
    joined = np.concatenate([item.mixture for item in data.items], axis=-1)
    return np.take(joined, np.arange(samples), axis=-1, mode="wrap")
