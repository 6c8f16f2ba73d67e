"""A streaming model file opened in a runtime: a hop of samples in, a hop out, and the states of a stream in the hands of the caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.model_file import ModelFile, TensorInfo, read_model
from edge_runtime.runtime import Engine, choose_runtime, open_engine, sample_rate_of
from edge_runtime.signature import Pcm
from edge_runtime.stream_states import StreamStates, state_bytes
from export_specs.file_metadata import FileMetadata, Streaming
from export_specs.foundation.errors import UserError


class StepRuntime:
    """A streaming file in one runtime; see :func:`open_steps`.

    Any number of streams may run on it by turns: :meth:`start` gives what one remembers, and :meth:`step` changes nothing else.
    """

    def __init__(self, file: ModelFile, name: str, engine: Engine, sample_rate: int) -> None:
        self.name, self.file, self.sample_rate = name, file, sample_rate
        self._metadata, self.streaming = _stated(file)
        self._engine = engine
        self._inputs = {tensor.name: tensor for tensor in file.inputs}
        self._pcm, self._separated = _ends(file, self._metadata, self.streaming)

    @property
    def hop_samples(self) -> int:
        """Samples of a step."""
        return self._metadata.segment_samples

    @property
    def sources(self) -> int:
        """S: the number of outputs."""
        return self._metadata.sources

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the outputs are, in order; empty where any output may be any source, as of speakers."""
        return self._metadata.source_names

    @property
    def shortest_samples(self) -> int:
        """The shortest recording worth separating, in samples."""
        return self._metadata.shortest_samples or 1

    @property
    def latency_samples(self) -> int:
        """From the moment a sample begins until what is separated of it comes out of a step, at most; computing takes no time."""
        return self.streaming.latency_samples

    @property
    def late_samples(self) -> int:
        """By how many samples what comes out of a step is later than what went in."""
        return self.latency_samples - self.hop_samples

    @property
    def state_bytes(self) -> int:
        """Bytes that each stream takes beside the runtime's own memory."""
        return state_bytes(self.streaming.states)

    @property
    def arena_bytes(self) -> int | None:
        """TFLM's arena in bytes, as the 64-bit host counts it; None for the other runtimes."""
        return self._engine.arena_bytes

    def start(self) -> StreamStates:
        """What a stream remembers when it begins."""
        return StreamStates(self.streaming.states, self._inputs)

    def step(self, pcm: Pcm, states: StreamStates) -> Pcm:
        """One hop of a stream: int16 [n] to int16 [S, n], which belong to the n samples ``late_samples`` earlier.

        Raises:
            ValueError: ``pcm`` is not int16 of ``hop_samples``.
        """
        if pcm.dtype != np.int16 or pcm.shape != (self.hop_samples,):
            raise ValueError(f"a hop must be int16 [{self.hop_samples}], not {pcm.dtype} {list(pcm.shape)}")
        given = {self._pcm.name: pcm[None], **states.inputs()}
        results = self._engine.invoke([np.ascontiguousarray(given[name]) for name in self._inputs])
        outputs = dict(zip((tensor.name for tensor in self.file.outputs), results, strict=True))
        states.keep(outputs)
        return np.asarray(outputs[self._separated.name].reshape(self.sources, self.hop_samples))


def open_steps(path: Path, name: str | None = None, *, threads: int = 1, sample_rate: int | None = None) -> StepRuntime:
    """Open a streaming model file in a runtime.

    Args:
        path: a ``model.stream.tflite`` or ``model.stream.qdq.onnx``.
        name: one of ``RUNTIMES``; by default XNNPACK for TFLite, ONNX Runtime for ONNX.
        threads: threads of one run, where the runtime has them.
        sample_rate: to be checked against the file's; in samples per second.

    Raises:
        UserError: unknown runtime; a missing or damaged file; one that does not stream; an op that the runtime lacks.
    """
    file = read_model(Path(path))
    name = choose_runtime(file, name)
    _stated(file)
    return StepRuntime(file, name, open_engine(file, name, threads), sample_rate_of(file, sample_rate))


def streams(file: ModelFile) -> bool:
    """Whether a file is run step by step."""
    return file.metadata is not None and file.metadata.streaming is not None


def _stated(file: ModelFile) -> tuple[FileMetadata, Streaming]:
    if file.metadata is None or file.metadata.streaming is None:
        raise UserError(f"{file.path} is run by segments, not step by step; of a causal network there is a model.stream file")
    return file.metadata, file.metadata.streaming


def _ends(file: ModelFile, metadata: FileMetadata, streaming: Streaming) -> tuple[TensorInfo, TensorInfo]:
    """The tensors of the PCM, after a check that all others are the states that the metadata tell.

    Raises:
        UserError: the file contradicts itself.
    """
    found = []
    sides = (file.inputs, {state.input for state in streaming.states}), (file.outputs, {state.output for state in streaming.states})
    for (tensors, states), sizes in zip(sides, ([1], [1, metadata.sources]), strict=True):
        rest = [tensor for tensor in tensors if tensor.name not in states]
        names = {tensor.name for tensor in tensors}
        if len(rest) != 1 or not states <= names or rest[0].shape != (*sizes, metadata.segment_samples) or rest[0].dtype != "int16":
            raise UserError(
                f"{file.path} contradicts itself: beside the states of its metadata it should have PCM of {metadata.segment_samples} "
                f"samples, it has {', '.join(map(str, rest)) or 'nothing'}"
            )
        found.append(rest[0])
    sizes_of = {state.input: (state.channels * state.frames, state.dtype) for state in streaming.states}
    for tensor in file.inputs:
        if tensor is not found[0] and sizes_of[tensor.name] != (int(np.prod(tensor.shape)), tensor.dtype):
            raise UserError(f"{file.path} contradicts itself: its metadata tell of another state than {tensor}")
    return found[0], found[1]
