"""ONNX Runtime without graph optimisation: the float arithmetic between the file's own DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime

from edge_runtime.model_file import Array, ModelFile
from edge_runtime.onnx_file import with_outputs
from export_specs.foundation.errors import UserError


class OnnxRuntimeEngine:
    """An ONNX file in ONNX Runtime, every graph optimisation disabled (fused integer convolutions differ by 1 LSB)."""

    arena_bytes = None

    def __init__(self, file: ModelFile, threads: int = 1) -> None:
        self._file = file
        self._threads = threads
        self._session = self._open(file.content)
        self._tapped: onnxruntime.InferenceSession | None = None
        self._taps = list({tensor.name: tensor for tensor in file.activations if tensor.is_integer}.values())

    def invoke(self, tensors: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs."""
        return self._session.run([output.name for output in self._file.outputs], self._feeds(tensors))  # type: ignore[no-any-return]

    def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
        """The outputs and every computed integer tensor, from a copy of the graph that gives them all out."""
        if self._tapped is None:
            outputs = {tap.name: tap for tap in (*self._taps, *self._file.outputs)}
            self._tapped = self._open(with_outputs(self._file.content, list(outputs.values())))
        count = len(self._file.outputs)
        names = [*(output.name for output in self._file.outputs), *(tap.name for tap in self._taps)]
        results = self._tapped.run(names, self._feeds(tensors))
        return results[:count], dict(zip(names[count:], results[count:], strict=True))

    def _feeds(self, tensors: Sequence[Array]) -> dict[str, Array]:
        return {source.name: tensor for source, tensor in zip(self._file.inputs, tensors, strict=True)}

    def _open(self, content: bytes) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class but this one
            raise UserError(f"ONNX Runtime cannot load {self._file.path}: {error}") from error
