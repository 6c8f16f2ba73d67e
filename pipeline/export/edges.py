"""What enters and leaves an exported graph for one segment length: PCM, unless the network says otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import onnx

from export_specs.file_metadata import SpectrogramFrontEnd
from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import INT16, GraphBuilder, Value, tensor_info

Infos = list[onnx.ValueInfoProto]


class QdqEdges(ABC):
    """Inputs, outputs and front end of a quantized network's graph."""

    @abstractmethod
    def inputs(self) -> list[Value]:
        """What the network's integer part takes, in order."""

    @abstractmethod
    def declare(self, graph: GraphBuilder, results: list[Value]) -> tuple[Infos, Infos]:
        """The declared inputs, and outputs made of what the network gives."""

    def front_end(self) -> SpectrogramFrontEnd | None:
        """What a runtime must do before and behind the graph; None where PCM goes in and out."""
        return None


@dataclass(frozen=True)
class PcmEdges(QdqEdges):
    """``pcm`` int16 [1, T] to ``separated`` int16 [1, S, T]; of A > 1 audio channels [1, A, T] to [1, S, A, T]."""

    audio_channels: int
    samples: int

    def inputs(self) -> list[Value]:
        return [Value("pcm", self.audio_channels, self.samples, sequences=1)]

    def declare(self, graph: GraphBuilder, results: list[Value]) -> tuple[Infos, Infos]:
        (last,) = results
        waveform = [last.frames] if self.audio_channels == 1 else [self.audio_channels, last.frames]
        separated = tensor_info("separated", INT16, [1, last.channels // self.audio_channels, *waveform])
        return [tensor_info("pcm", INT16, [1, *waveform])], [separated]


class FloatEdges(ABC):
    """Inputs, outputs and front end of a float network's graph; shapes have the batch of 1."""

    @abstractmethod
    def inputs(self) -> dict[str, list[int]]:
        """Shape of each input of the graph, in the order in which the network's integer part takes them."""

    @abstractmethod
    def enter(self, graph: FloatGraph, name: str) -> str:
        """An input as frames [1, C, T]."""

    @abstractmethod
    def leave(self, graph: FloatGraph, results: list[str]) -> dict[str, list[int]]:
        """Make the outputs of what the network gives; the shape of each."""

    def front_end(self) -> SpectrogramFrontEnd | None:
        """What a runtime must do before and behind the graph; None where PCM goes in and out."""
        return None


@dataclass(frozen=True)
class FloatPcmEdges(FloatEdges):
    """``mixture`` float32 [1, T] to ``output`` float32 [1, S, T]; of A > 1 audio channels [1, A, T] to [1, S, A, T]."""

    audio_channels: int
    samples: int
    sources: int

    def _waveform(self) -> list[int]:
        return [self.samples] if self.audio_channels == 1 else [self.audio_channels, self.samples]

    def inputs(self) -> dict[str, list[int]]:
        return {"mixture": [1, *self._waveform()]}

    def enter(self, graph: FloatGraph, name: str) -> str:
        return graph.reshape(name, [1, self.audio_channels, self.samples], "waveform")

    def leave(self, graph: FloatGraph, results: list[str]) -> dict[str, list[int]]:
        shape = [1, self.sources, *self._waveform()]
        if self.audio_channels > 1:
            graph.reshape(results[0], shape, "output")
        graph.nodes[-1].output[0] = "output"
        return {"output": shape}
