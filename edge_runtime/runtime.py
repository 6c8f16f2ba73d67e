"""One face for every runtime: open a model file, run it on int16 PCM, look at its inner tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from edge_runtime.branch_signature import signature_of
from edge_runtime.model_file import Array, ModelFile, Quantization, read_model
from edge_runtime.signature import Pcm
from export_specs.foundation.errors import UserError, choice_error
from export_specs.schema import EMULATED, EMULATION, RUNTIMES, runs_onnx_files

Taps = dict[str, Array]


class Runtime(Protocol):
    """What the rest of the product needs of a runtime that has a model loaded."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    @property
    def segment_samples(self) -> int:
        """T: the fixed length of one run."""

    @property
    def sources(self) -> int:
        """S: the number of outputs."""

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the outputs are, in order ("drums", …); empty where any output may be any source, as of speakers."""

    @property
    def quantization(self) -> dict[str, Quantization]:
        """Scale and zero point of the quantized tensors, by name; axes count in the file's own layout."""

    def run(self, pcm: Pcm) -> Pcm:
        """One segment: int16 [T] to int16 [S, T], or [A, T] to [S, A, T]."""

    def run_with_taps(self, pcm: Pcm) -> tuple[Pcm, Taps]:
        """As :meth:`run`, and the integer codes of every inner tensor by its name."""


class Engine(Protocol):
    """A runtime behind its adapter: raw input tensors in, raw output tensors out."""

    def invoke(self, tensors: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs, both in the order of the file."""

    def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], Taps]:
        """The outputs, and every computed integer tensor by name, with the axes that it has in ONNX."""

    @property
    def arena_bytes(self) -> int | None:
        """Working memory in bytes where the runtime counts it."""


class FileRuntime:
    """A model file opened in one runtime; see :func:`open_runtime`.

    Taps have the axes of the ONNX file whatever the file's (:class:`export_specs.layout.Layout`): a tensor of the body is [1, C, T].
    Float tensors and constants are not offered.
    ``shortest_samples`` is the shortest recording worth separating: the encoder's window where the file tells it, else 2 ms.
    """

    def __init__(self, name: str, file: ModelFile, open_engine: Callable[[ModelFile], Engine], sample_rate: int | None = None) -> None:
        self.name = name
        self.file = file
        if file.metadata is not None and file.metadata.streaming is not None:
            raise UserError(f"{file.path} is run step by step: give --stream, or the whole file beside it (model.tflite, model.qdq.onnx)")
        self._signature = signature_of(file)
        self.sample_rate = sample_rate_of(file, sample_rate)
        self.shortest_samples = self.sample_rate // 500
        self.source_names: tuple[str, ...] = ()
        if (stated := file.metadata) is not None:
            self.shortest_samples = stated.shortest_samples or self.shortest_samples
            self.source_names = stated.source_names
            for field, found in (("segment_samples", self.segment_samples), ("sources", self.sources)):
                if (said := getattr(stated, field)) != found:
                    raise UserError(f"{file.path} contradicts itself: its metadata say {field} {said}, its tensors {found}")
        self._engine = open_engine(file)

    @property
    def segment_samples(self) -> int:
        """T: the fixed length of one run, in samples."""
        return self._signature.samples

    @property
    def sources(self) -> int:
        """S: the number of outputs."""
        return self._signature.sources

    @property
    def waveform(self) -> tuple[int, ...]:
        """The shape of a segment: (T,), or (A, T) of a model of A audio channels."""
        return self._signature.waveform

    @property
    def quantization(self) -> dict[str, Quantization]:
        """Scale and zero point of the quantized tensors, by name; axes count in the file's own layout."""
        tensors = (*self.file.inputs, *self.file.activations)
        return {tensor.name: tensor.quantization for tensor in tensors if tensor.quantization is not None}

    @property
    def arena_bytes(self) -> int | None:
        """TFLM's arena in bytes, as the 64-bit host counts it; None for the other runtimes."""
        return self._engine.arena_bytes

    def run(self, pcm: Pcm) -> Pcm:
        """One segment: int16 [T] to int16 [S, T], or [A, T] to [S, A, T].

        Raises:
            ValueError: ``pcm`` is not int16 of the shape ``waveform``.
        """
        tensors, decode = self._signature.feed(pcm)
        return decode(self._engine.invoke(tensors))

    def run_with_taps(self, pcm: Pcm) -> tuple[Pcm, Taps]:
        """As :meth:`run`, and the integer codes of every computed tensor by its name."""
        tensors, decode = self._signature.feed(pcm)
        outputs, taps = self._engine.invoke_with_taps(tensors)
        return decode(outputs), taps


def open_runtime(path: Path, name: str | None = None, *, threads: int = 1, sample_rate: int | None = None) -> FileRuntime:
    """Open a model file in a runtime.

    Args:
        path: a ``.tflite`` or ``.onnx`` file.
        name: one of ``RUNTIMES`` or ``EMULATED``; by default XNNPACK for TFLite, ONNX Runtime for ONNX.
        threads: threads of one run, where the runtime has them.
        sample_rate: for files that do not tell it; in samples per second.

    Raises:
        UserError: unknown runtime; a missing or damaged file; another signature; an op that the runtime lacks.
    """
    file = read_model(Path(path))
    name = choose_runtime(file, name)
    return FileRuntime(name, file, lambda file: open_engine(file, name, threads), sample_rate)


def choose_runtime(file: ModelFile, name: str | None) -> str:
    """The runtime of that name, or the fast one of the file's format.

    Raises:
        UserError: there is no such runtime, or it runs the other format.
    """
    known = (*RUNTIMES, *EMULATED)
    if name is not None and name not in known:
        raise choice_error("runtime", name, list(known))
    name = name or ("onnxruntime" if file.format == "onnx" else "litert-xnnpack")
    if (file.format == "onnx") != runs_onnx_files(name):
        fitting = [other for other in known if runs_onnx_files(other) == (file.format == "onnx")]
        raise UserError(f"{file.path} is {file.format.upper()}, which {name} does not run. Choose one of: {', '.join(fitting)}.")
    return name


def open_engine(file: ModelFile, name: str, threads: int = 1) -> Engine:
    """A file in the runtime of that name.

    Raises:
        UserError: the runtime cannot load it.
    """
    if name in EMULATED:
        from edge_runtime.arm64_engine import Arm64Engine

        return Arm64Engine(file, name.removeprefix(EMULATION), threads)
    if name == "onnxruntime":
        from edge_runtime.onnxruntime_adapter import OnnxRuntimeEngine

        return OnnxRuntimeEngine(file, threads)
    if name == "tflm":
        from edge_runtime.tflm import TflmEngine

        return TflmEngine(file)
    from edge_runtime.litert import LiteRtEngine

    return LiteRtEngine(file, name, threads)


def sample_rate_of(file: ModelFile, given: int | None) -> int:
    """Samples per second, as the file tells or as given.

    Raises:
        UserError: they differ, or neither tells.
    """
    stated = None if file.metadata is None else file.metadata.sample_rate
    if stated is not None and given not in (None, stated):
        raise UserError(f"{file.path} is made for {stated} samples per second, not {given}")
    rate = stated or given
    if rate is None:
        raise UserError(f"{file.path} does not tell its sample rate: give it with --sample-rate")
    return rate
