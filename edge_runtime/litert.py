"""LiteRT with a choice of its three sets of kernels: reference, optimised C++ and XNNPACK."""

from __future__ import annotations

from collections.abc import Sequence

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_runtime.model_file import Array, ModelFile
from edge_runtime.native_messages import captured_stderr
from edge_runtime.tflite_file import as_in_onnx, with_outputs
from export_specs.foundation.errors import UserError

_KERNELS = {
    "litert-ref": OpResolverType.BUILTIN_REF,
    "litert-opt": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "litert-xnnpack": OpResolverType.AUTO,
}


class LiteRtEngine:
    """A TFLite file in LiteRT. ``kernels`` is a runtime name: litert-ref, litert-opt or litert-xnnpack."""

    arena_bytes = None

    def __init__(self, file: ModelFile, kernels: str, threads: int = 1) -> None:
        self._file = file
        self._kernels = kernels
        self._threads = threads
        self._interpreter = self._open(file.content)
        self._tapped: Interpreter | None = None
        self._taps = [tensor for tensor in file.activations if tensor.is_integer]

    def invoke(self, tensors: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs."""
        return self._invoke(self._interpreter, tensors)

    def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
        """The outputs and every computed integer tensor.

        They come from a copy of the file that declares them all as outputs: a delegate computes what it must give out,
        whereas tensors merely preserved may never be written by it.
        """
        if self._tapped is None:
            indices = {tap.index for tap in (*self._taps, *self._file.outputs)}
            self._tapped = self._open(with_outputs(self._file.content, sorted(indices)))
        outputs = self._invoke(self._tapped, tensors)
        return outputs, {tap.name: as_in_onnx(self._tapped.get_tensor(tap.index), tap.layout) for tap in self._taps}

    def _invoke(self, interpreter: Interpreter, tensors: Sequence[Array]) -> list[Array]:
        for source, tensor in zip(self._file.inputs, tensors, strict=True):
            interpreter.set_tensor(source.index, tensor)
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise UserError(f"{self._kernels} failed on {self._file.path}: {error}") from error
        return [interpreter.get_tensor(result.index) for result in self._file.outputs]

    def _open(self, content: bytes) -> Interpreter:
        try:
            with captured_stderr():
                interpreter = Interpreter(
                    model_content=content, experimental_op_resolver_type=_KERNELS[self._kernels], num_threads=self._threads
                )
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{self._kernels} cannot load {self._file.path}: {str(error).strip()}") from error
        return interpreter
