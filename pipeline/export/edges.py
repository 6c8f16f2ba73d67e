"""What enters and leaves an exported graph: PCM, or the two branches between a float front end's analysis and synthesis."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import onnx
from torch import nn

from export_specs.file_metadata import FullScale, SpectrogramFrontEnd
from pipeline.export.qdq_graph import INT16, GraphBuilder, Value, tensor_info
from pipeline.layers.branch_ends.quantized import BYTE, ByteUpsampling, InputConvolution
from pipeline.layers.encoder.quantized import QuantizedEncoder
from pipeline.networks.htdemucs.model import HTDemucs

Infos = list[onnx.ValueInfoProto]


class Edges(ABC):
    """Inputs, outputs and front end of a graph for one segment length."""

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
class PcmEdges(Edges):
    """``pcm`` int16 [1, T] to ``separated`` int16 [1, S, T]; of A > 1 audio channels [1, A, T] to [1, S, A, T]."""

    network: nn.Module
    samples: int

    def inputs(self) -> list[Value]:
        channels = next(module.audio_channels for module in self.network.modules() if isinstance(module, QuantizedEncoder))
        return [Value("pcm", channels, self.samples, sequences=1)]

    def declare(self, graph: GraphBuilder, results: list[Value]) -> tuple[Infos, Infos]:
        (pcm,), (last,) = self.inputs(), results
        waveform = [last.frames] if pcm.channels == 1 else [pcm.channels, last.frames]
        separated = tensor_info("separated", INT16, [1, last.channels // pcm.channels, *waveform])
        return [tensor_info("pcm", INT16, [1, *waveform])], [separated]


@dataclass(frozen=True)
class BranchEdges(Edges):
    """``spectrogram`` int16 [1, 2 A, Fr, F] and ``waveform`` [1, A, T] to ``separated_spectrogram`` [1, S * 2 A, Fr, F] and
    ``separated_waveform`` [1, S * A, T]."""

    network: HTDemucs
    samples: int

    def inputs(self) -> list[Value]:
        sizes = ((name, shape, shape[1] if len(shape) == 3 else 1) for name, shape in self.network.input_shapes(self.samples).items())
        return [Value(name, shape[0], math.prod(shape[1:]), sequences=count) for name, shape, count in sizes]

    def declare(self, graph: GraphBuilder, results: list[Value]) -> tuple[Infos, Infos]:
        inputs, outputs = [], []
        for result, (name, shape) in zip(results, self.network.input_shapes(self.samples).items(), strict=True):
            inputs.append(tensor_info(name, INT16, [1, *shape]))
            whole = [1, result.channels, *shape[1:]]
            outputs.append(tensor_info(graph.reshape(result.name, whole, f"separated_{name}"), INT16, whole))
        return inputs, outputs

    def front_end(self) -> SpectrogramFrontEnd:
        """The transform, and what int16 full scale stands for: the learned ranges of both inputs and of both outputs."""
        layers = list(self.network.modules())
        ranges = [layer.input_range for layer in layers if isinstance(layer, InputConvolution)]
        ranges += [layer.high_quantizer for layer in layers if isinstance(layer, ByteUpsampling)]
        spectrogram_in, waveform_in, spectrogram_out, waveform_out = (float(quantizer.grid()[0]) * BYTE / 2 for quantizer in ranges)
        return SpectrogramFrontEnd(
            n_fft=self.network.n_fft,
            input=FullScale(spectrogram=spectrogram_in, waveform=waveform_in),
            output=FullScale(spectrogram=spectrogram_out, waveform=waveform_out),
        )
