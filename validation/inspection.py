"""Everything that is measured on the file and a few segments, each when first asked for, and once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from export_specs.schema import TargetSpec, runs_onnx_files
from validation.accounting import Cost, count_onnx_float, count_tflite
from validation.behaviour import RuntimeBehaviour, observe
from validation.config import JudgeConfig
from validation.evaluation_set import EvaluationSet
from validation.golden_inputs import OpComparison, forced_onnx, forced_tflite
from validation.layers import Codes, RuntimeComparison, compare_runtime, first_segments, golden_taps
from validation.structure import Structure, audit
from validation.tflite_graph import TfliteGraph


class Inspection:
    """The target's file, its clips and what its runtimes make of them. ``say`` is told what begins."""

    def __init__(self, config: JudgeConfig, target: TargetSpec, data: EvaluationSet, say: Callable[[str], None]) -> None:
        """Raises UserError where judge.json does not name a file of the target's format."""
        path = config.onnx if target.format == "onnx" else config.tflite
        if path is None:
            raise UserError(f"the target '{target.name}' ships {target.format}: judge.json must name it as '{target.format}'")
        self.path: Path = path
        self.data = data
        self.sample_rate = data.manifest.sample_rate
        self._config, self._target, self._say = config, target, say

    def file_for(self, runtime: str) -> Path | None:
        """The file that a runtime runs; None where judge.json names none of that kind."""
        return self._config.onnx if runs_onnx_files(runtime) else self._config.tflite

    @cached_property
    def structure(self) -> Structure:
        """The audit of the file."""
        self._say("structure")
        return audit(self.path, self._target.allowed_ops)

    @cached_property
    def segment_samples(self) -> int:
        """T: the fixed length of one run."""
        return open_runtime(self.path, sample_rate=self.sample_rate).segment_samples

    @cached_property
    def clips(self) -> list[npt.NDArray[np.int16]]:
        """Segments at level, [T] or [A, T]."""
        return first_segments(self.data.items, self._config.layer_clips, self.segment_samples, self.sample_rate)

    def recording(self, segments: float) -> npt.NDArray[np.int16]:
        """A recording of so many segments: the mixtures one after the other, again and again, [N] or [A, N]."""
        joined = np.concatenate([item.mixture for item in self.data.items], axis=-1)
        return np.take(joined, np.arange(int(segments * self.segment_samples)), axis=-1, mode="wrap")

    @cached_property
    def behaviour(self) -> list[RuntimeBehaviour]:
        """How the file itself behaves in every runtime of the target."""
        found = []
        for runtime in self._target.runtimes:
            self._say(f"behaviour in {runtime}")
            found.append(observe(self.file_for(runtime), runtime, self.clips[0], self.sample_rate))
        return found

    @property
    def running(self) -> list[str]:
        """The runtimes of the target in which the file runs."""
        return [found.runtime for found in self.behaviour if found.problem is None]

    @property
    def arena_bytes(self) -> int | None:
        """TFLM's arena; None where it does not run the file."""
        return next((found.arena_bytes for found in self.behaviour if found.arena_bytes is not None), None)

    @cached_property
    def golden(self) -> list[dict[str, Codes]]:
        """Inner tensors of each clip: of LiteRT's reference kernels for a TFLite file, of ONNX Runtime for an ONNX file."""
        self._say("golden tensors")
        return golden_taps(self.path, self.clips, self.sample_rate)

    @cached_property
    def ops(self) -> dict[str, str]:
        """The TFLite operator that makes each tensor, by the tensor's name; nothing for an ONNX file."""
        if self._target.format == "onnx":
            return {}
        graph = TfliteGraph.read(self.path)
        return {graph.tensors[index].name: operator.name for index, operator in graph.computed.items()}

    @cached_property
    def free(self) -> list[RuntimeComparison]:
        """Every inner tensor of the other runtimes against the golden ones; nothing for an ONNX file, which one runtime runs."""
        if self._target.format == "onnx":
            return []
        found = []
        for runtime in self.running:
            path = self.file_for(runtime)
            if runtime != "litert-ref" and path is not None:
                self._say(f"inner tensors in {runtime}")
                found.append(compare_runtime(path, runtime, self.clips, self.golden, self.sample_rate))
        return found

    @cached_property
    def golden_inputs(self) -> dict[str, list[OpComparison]]:
        """Op by op with golden inputs, by runtime; nothing for a file with float tensors, which no integers reproduce."""
        found: dict[str, list[OpComparison]] = {}
        if self._target.format == "onnx" or self.structure.float_tensors:
            return found
        self._say("op by op with golden inputs")
        if "litert-xnnpack" in self.running:
            found["litert-xnnpack"] = forced_tflite(self.path, self.clips)
        if "onnxruntime" in self.running and self._config.onnx is not None:
            found["onnxruntime"] = forced_onnx(self._config.onnx, self.golden, self.clips)
        return found

    @cached_property
    def cost(self) -> Cost | None:
        """Work of the TFLite file; None where there is none."""
        path = self._config.tflite
        return None if path is None else count_tflite(path, self.sample_rate, self.segment_samples)

    @cached_property
    def float_cost(self) -> Cost | None:
        """Work of the float network; None where its ONNX file is not named."""
        path = self._config.float_onnx
        return None if path is None else count_onnx_float(path, self.sample_rate, self.segment_samples)

    @property
    def parameters(self) -> int:
        """Parameters of the float network as judge.json tells them. Else values in the constants of the float network, or of the TFLite
        file, or (ONNX alone) as many as its constants have bytes."""
        cost = self.float_cost or self.cost
        return self._config.parameters or (self.structure.constant_bytes if cost is None else cost.constants)
