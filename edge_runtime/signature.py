"""The signature of a separation model, and the way between int16 PCM and the type it computes with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_runtime.model_file import Array, ModelFile, TensorInfo
from export_specs.foundation.errors import UserError

Pcm = npt.NDArray[np.int16]
_FULL_SCALE = 32768.0
_EXPECTED = (
    "one input of T samples (int16, int8, uint8 or float32; [1, T], or [1, A, T] of A channels) "
    "and one output of S sources ([1, S, T], or [1, S, A, T])"
)


@dataclass(frozen=True)
class Signature:
    """One input of T samples, one output of S sources of T samples; 1.0 is full scale of int16 on both sides.

    ``waveform`` is the shape of a waveform: [T] of a mono model, [A, T] of one with A channels.
    ``time_last`` is False where the output of a mono model holds its sources behind its time axis, ``interleaved`` True where the input
    holds its channels there: onnx2tf may leave them so.
    """

    input: TensorInfo
    output: TensorInfo
    waveform: tuple[int, ...]
    sources: int
    time_last: bool
    interleaved: bool = False

    @property
    def samples(self) -> int:
        """T."""
        return self.waveform[-1]

    def encode(self, pcm: Pcm) -> Array:
        """int16 PCM [T] or [A, T] as the model's input tensor. Rounds half to even and saturates where the input is coarser than int16.

        Raises:
            ValueError: ``pcm`` is not int16 of the shape ``waveform``.
        """
        if pcm.dtype != np.int16 or pcm.shape != self.waveform:
            raise ValueError(f"a segment must be int16 {list(self.waveform)}, not {pcm.dtype} {list(pcm.shape)}")
        return np.ascontiguousarray(_to_codes(pcm.T if self.interleaved else pcm, self.input)).reshape(self.input.shape)

    def feed(self, pcm: Pcm) -> tuple[list[Array], Callable[[Sequence[Array]], Pcm]]:
        """The model's inputs for int16 PCM, as :meth:`encode` makes them, and what makes PCM of its outputs, as :meth:`decode` does."""
        return [self.encode(pcm)], lambda outputs: self.decode(outputs[0])

    def decode(self, output: Array) -> Pcm:
        """The model's output tensor as int16 PCM [S, T] or [S, A, T]. Rounds half to even and saturates where the output is not int16."""
        sources = output.reshape(self.sources, *self.waveform) if self.time_last else output.reshape(self.samples, self.sources).T
        return _to_pcm(np.ascontiguousarray(sources), self.output)


def fit_signature(file: ModelFile) -> Signature:
    """The signature of a model file.

    Raises:
        UserError: the file has other inputs or outputs than a separation model; says which.
    """
    found = f"found input {', '.join(map(str, file.inputs)) or 'none'}; output {', '.join(map(str, file.outputs)) or 'none'}"
    if len(file.inputs) != 1 or len(file.outputs) != 1:
        raise _refusal(file, f"it has {len(file.inputs)} inputs and {len(file.outputs)} outputs", found)
    source, result = file.inputs[0], file.outputs[0]
    for tensor in (source, result):
        if tensor.dtype not in ("int16", "int8", "uint8", "float32"):
            raise _refusal(file, f"{tensor.dtype} is no type for PCM", found)
        if min(tensor.shape, default=0) < 1:
            raise _refusal(file, f"the shape of '{tensor.name}' is not fixed", found)
        if tensor.quantization is not None and tensor.quantization.scale.size != 1:
            raise _refusal(file, f"'{tensor.name}' is quantized per channel", found)
        if tensor.dtype in ("int8", "uint8") and tensor.quantization is None:
            raise _refusal(file, f"'{tensor.name}' has no scale", found)
    waveform = tuple(size for size in source.shape if size != 1)
    interleaved = len(waveform) == 2 and waveform[0] > waveform[1]
    waveform = waveform[::-1] if interleaved else waveform
    if len(waveform) not in (1, 2) or len(set(waveform)) < len(waveform):
        raise _refusal(file, f"the input has {len(waveform)} axes longer than 1", found)
    axes = tuple(size for size in result.shape if size != 1)
    time_last = axes[-len(waveform) :] == waveform
    others = axes[: -len(waveform)] if time_last else axes[1:]
    if len(others) > 1 or not (time_last or axes[:1] == waveform):
        raise _refusal(file, f"the output is not a number of sources of {' × '.join(map(str, waveform))} samples", found)
    return Signature(source, result, waveform, others[0] if others else 1, time_last, interleaved)


def _to_codes(pcm: Pcm, tensor: TensorInfo) -> Array:
    if tensor.dtype == "float32":
        return pcm.astype(np.float32) / np.float32(_FULL_SCALE)
    if _is_plain_pcm(tensor):
        return pcm
    scale, zero_point = _scale(tensor)
    bounds = np.iinfo(tensor.dtype)
    codes = np.clip(np.rint(pcm / (_FULL_SCALE * scale)) + zero_point, bounds.min, bounds.max)
    return np.asarray(codes, dtype=tensor.dtype)


def _to_pcm(codes: Array, tensor: TensorInfo) -> Pcm:
    if _is_plain_pcm(tensor):
        return codes.astype(np.int16, copy=False)
    if tensor.dtype == "float32":
        value = codes.astype(np.float64)
        if not np.isfinite(value).all():
            raise UserError(f"the model's output '{tensor.name}' holds NaN or infinity: the file is not fit for use")
    else:
        scale, zero_point = _scale(tensor)
        value = (codes.astype(np.float64) - zero_point) * scale
    return np.clip(np.rint(value * _FULL_SCALE), -32768, 32767).astype(np.int16)


def _is_plain_pcm(tensor: TensorInfo) -> bool:
    return tensor.dtype == "int16" and (tensor.quantization is None or _scale(tensor) == (1 / _FULL_SCALE, 0))


def _scale(tensor: TensorInfo) -> tuple[float, int]:
    assert tensor.quantization is not None, tensor
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zero_point[0])


def _refusal(file: ModelFile, reason: str, found: str) -> UserError:
    return UserError(f"{file.path} has the signature of another kind of model: {reason}. Expected {_EXPECTED}; {found}.")
