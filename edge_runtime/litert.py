"""LiteRT with a choice of its three sets of kernels: reference, optimised C++ and XNNPACK."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_runtime.model_file import Array, ModelFile
from edge_runtime.native_messages import captured_stderr
from edge_runtime.tflite_file import channels_first, with_outputs
from export_specs.errors import UserError

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

    def invoke(self, tensor: Array) -> Array:
        """The model's output for this input."""
        return self._invoke(self._interpreter, tensor)

    def invoke_with_taps(self, tensor: Array) -> tuple[Array, dict[str, Array]]:
        """The output and every computed integer tensor.

        They come from a copy of the file that declares them all as outputs: a delegate computes what it must give out,
        whereas tensors merely preserved may never be written by it.
        """
        if self._tapped is None:
            indices = {tap.index for tap in (*self._taps, self._file.outputs[0])}
            self._tapped = self._open(with_outputs(self._file.content, sorted(indices)))
        output = self._invoke(self._tapped, tensor)
        return output, {tap.name: channels_first(self._tapped.get_tensor(tap.index)) for tap in self._taps}

    def _invoke(self, interpreter: Interpreter, tensor: Array) -> Array:
        interpreter.set_tensor(self._file.inputs[0].index, tensor)
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise UserError(f"{self._kernels} failed on {self._file.path}: {error}") from error
        return interpreter.get_tensor(self._file.outputs[0].index)  # type: ignore[no-any-return]

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
