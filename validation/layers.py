"""Tensor by tensor: how far the inner tensors of one runtime are from another's, in codes (LSB) and in dB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from edge_runtime.level import apply_shift, choose_shift, remove_constant
from edge_runtime.runtime import FileRuntime, open_runtime
from export_specs.foundation.errors import UserError
from validation.evaluation_set import Item
from validation.metrics import ratio_db
from validation.record import Number, Record

Codes = npt.NDArray[np.generic]
LSB_LABELS = ("0", "1", "2", "3", "4-7", "8+")
_EDGES = (0, 1, 2, 3, 4, 8)
OUTPUT = "output pcm"
_GOLDEN = "litert-ref"


class TensorComparison(Record):
    """Codes of one tensor in a runtime against the golden ones, which are LiteRT's reference kernels', over all clips.

    ``lsb`` counts the values by the size of their difference (see LSB_LABELS), and ``share`` is the part of them that differs at all.
    ``saturation`` is the part of the golden codes that stands at an end of int8 or int16. ``sqnr`` is in dB; the signal is the golden
    codes less their zero point.
    """

    tensor: str
    values: int
    max_lsb: int
    share: Number
    lsb: list[int]
    sqnr: Number
    saturation: Number


class LayerNoise(Record):
    """SQNR of a layer's output in dB against the same network without int8 grids, as the trainer measured it in torch.

    ``own``: with the grids of this layer alone. ``gathered``: with those of all layers.
    """

    layer: str
    kind: str
    own: Number
    gathered: Number


class RuntimeComparison(Record):
    """One runtime, running freely, against the golden one. ``only_golden`` names tensors that the runtime does not offer."""

    runtime: str
    golden: str
    clips: int
    tensors: list[TensorComparison]
    only_golden: list[str]
    shapes_differ: list[str]

    @property
    def unequal(self) -> list[str]:
        """Names of the tensors that differ in any value, or in shape."""
        return [*(t.tensor for t in self.tensors if t.max_lsb), *self.shapes_differ]

    @property
    def output_sqnr(self) -> float | None:
        """SQNR of the output waveform against the golden one in dB; None where it could not be compared."""
        return next((t.sqnr for t in self.tensors if t.tensor == OUTPUT), None)

    @property
    def histogram(self) -> list[int]:
        """Values of all tensors by |difference|."""
        return [sum(t.lsb[k] for t in self.tensors) for k in range(len(LSB_LABELS))]


def read_layer_noise(path: Path | None) -> list[LayerNoise]:
    """What the trainer measured; nothing where no file is named.

    Raises:
        UserError: unreadable, or something else.
    """
    if path is None:
        return []
    try:
        return TypeAdapter(list[LayerNoise]).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read the layers' noise {path}: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(f"{path} is no list of layers' noise: {error.errors()[0]['msg']}") from error


class TensorStatistics:
    """Collects the differences of one tensor over several clips."""

    def __init__(self, name: str, zero_point: int = 0) -> None:
        self._name = name
        self._zero_point = zero_point
        self._counts = np.zeros(len(LSB_LABELS), np.int64)
        self._max_lsb = self._saturated = 0
        self._signal = self._noise = 0.0

    def add(self, golden: Codes, found: Codes) -> None:
        """Compare two integer arrays of one shape."""
        first, second = golden.astype(np.int64).ravel(), found.astype(np.int64).ravel()
        difference = np.abs(first - second)
        self._counts += np.bincount(np.searchsorted(_EDGES, difference, side="right") - 1, minlength=len(LSB_LABELS))
        self._max_lsb = max(self._max_lsb, int(difference.max(initial=0)))
        if golden.dtype in (np.int8, np.int16):
            ends = np.iinfo(np.int8 if golden.dtype == np.int8 else np.int16)
            self._saturated += int(np.count_nonzero((first == ends.min) | (first == ends.max)))
        self._signal += float(np.sum(np.square((first - self._zero_point).astype(np.float64))))
        self._noise += float(np.sum(np.square(difference.astype(np.float64))))

    def result(self) -> TensorComparison:
        """What was collected."""
        values = int(self._counts.sum())
        return TensorComparison(
            tensor=self._name,
            values=values,
            max_lsb=self._max_lsb,
            share=float(1 - self._counts[0] / values) if values else 0.0,
            lsb=[int(count) for count in self._counts],
            sqnr=math.inf if self._noise == 0 else ratio_db(self._signal, self._noise),
            saturation=self._saturated / values if values else 0.0,
        )


def first_segments(items: Sequence[Item], count: int, segment: int, sample_rate: int) -> list[npt.NDArray[np.int16]]:
    """``count`` segments, int16 [T] or [A, T], from the middles of evenly spread items, padded with zeros where an item is shorter.

    Each is brought to level as edge_runtime would bring it: without its constant, and with a power-of-two gain.
    """
    chosen = [items[index * len(items) // count] for index in range(min(count, len(items)))]
    clips = []
    for item in chosen:
        start = max(0, (item.samples - segment) // 2)
        clip = remove_constant(item.mixture[..., start : start + segment], sample_rate)
        clip = np.pad(clip, (*[(0, 0)] * (clip.ndim - 1), (0, segment - clip.shape[-1])))
        clips.append(apply_shift(clip, choose_shift(clip)))
    return clips


def golden_taps(path: Path, clips: Sequence[npt.NDArray[np.int16]], sample_rate: int) -> list[dict[str, Codes]]:
    """Inner tensors for each clip, the output among them: of BUILTIN_REF for a TFLite file, of ONNX Runtime for an ONNX file."""
    runtime = "onnxruntime" if path.suffix == ".onnx" else _GOLDEN
    return _taps(open_runtime(path, runtime, sample_rate=sample_rate), clips)


def unlike_golden(path: Path, clips: Sequence[npt.NDArray[np.int16]], golden: Sequence[Mapping[str, Codes]], sample_rate: int) -> list[str]:
    """The clips for which BUILTIN_REF gives another output when it does not keep its inner tensors.

    Tensors that are looked at keep their memory to themselves, so that a file whose tensors overwrite each other looks right.
    """
    opened = open_runtime(path, _GOLDEN, sample_rate=sample_rate)
    runs = enumerate(zip(clips, golden, strict=True), 1)
    return [f"clip {number}" for number, (clip, taps) in runs if not np.array_equal(opened.run(clip), taps[OUTPUT])]


def compare_runtime(
    path: Path,
    runtime: str,
    clips: Sequence[npt.NDArray[np.int16]],
    golden: Sequence[Mapping[str, Codes]],
    sample_rate: int,
) -> RuntimeComparison:
    """Run a file freely on the clips and compare every tensor it shares, by name, with the golden ones. Shapes must agree as they are."""
    opened = open_runtime(path, runtime, sample_rate=sample_rate)
    zero_points = {name: int(q.zero_point[0]) for name, q in opened.quantization.items() if q.zero_point.size == 1}
    statistics: dict[str, TensorStatistics] = {}
    shapes_differ: dict[str, None] = {}
    only_golden: list[str] = []
    for expected, found in zip(golden, _taps(opened, clips), strict=True):
        only_golden = [name for name in expected if name not in found]
        for name, codes in expected.items():
            if name not in found:
                continue
            if codes.shape != found[name].shape or codes.dtype != found[name].dtype:
                shapes_differ[name] = None
                continue
            statistics.setdefault(name, TensorStatistics(name, zero_points.get(name, 0))).add(codes, found[name])
    return RuntimeComparison(
        runtime=runtime,
        golden=_GOLDEN,
        clips=len(clips),
        tensors=[collected.result() for collected in statistics.values()],
        only_golden=only_golden,
        shapes_differ=list(shapes_differ),
    )


def _taps(runtime: FileRuntime, clips: Sequence[npt.NDArray[np.int16]]) -> list[dict[str, Codes]]:
    found = []
    for clip in clips:
        output, taps = runtime.run_with_taps(clip)
        found.append({**taps, OUTPUT: output})
    return found
