"""What enters and leaves the graphs of HTDemucs: spectrogram and waveform, between a float front end's analysis and synthesis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from export_specs.file_metadata import FullScale, SpectrogramFrontEnd
from pipeline.export.edges import FloatEdges, Infos, QdqEdges
from pipeline.export.float_graph import FloatGraph
from pipeline.export.qdq_graph import INT16, GraphBuilder, Value, tensor_info
from pipeline.layers.branch_ends.quantized import ByteUpsampling, InputConvolution
from pipeline.layers.encoder.quantized import BYTE


@dataclass(frozen=True)
class BranchEdges(QdqEdges):
    """``spectrogram`` int16 [1, 2 A, Fr, F] and ``waveform`` [1, A, T] to ``separated_spectrogram`` [1, S * 2 A, Fr, F] and
    ``separated_waveform`` [1, S * A, T]. ``shapes``: of the inputs, by name, without the batch."""

    network: nn.Module
    shapes: dict[str, list[int]]
    n_fft: int

    def inputs(self) -> list[Value]:
        sizes = ((name, shape, shape[1] if len(shape) == 3 else 1) for name, shape in self.shapes.items())
        return [Value(name, shape[0], math.prod(shape[1:]), sequences=count) for name, shape, count in sizes]

    def declare(self, graph: GraphBuilder, results: list[Value]) -> tuple[Infos, Infos]:
        inputs, outputs = [], []
        for result, (name, shape) in zip(results, self.shapes.items(), strict=True):
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
            n_fft=self.n_fft,
            input=FullScale(spectrogram=spectrogram_in, waveform=waveform_in),
            output=FullScale(spectrogram=spectrogram_out, waveform=waveform_out),
        )


@dataclass(frozen=True)
class FloatBranchEdges(FloatEdges):
    """As :class:`BranchEdges`, float32."""

    shapes: dict[str, list[int]]
    sources: int
    n_fft: int

    def inputs(self) -> dict[str, list[int]]:
        return {name: [1, *shape] for name, shape in self.shapes.items()}

    def enter(self, graph: FloatGraph, name: str) -> str:
        shape = self.shapes[name]
        return graph.reshape(name, [1, shape[0], math.prod(shape[1:])], f"{name}.frames")

    def leave(self, graph: FloatGraph, results: list[str]) -> dict[str, list[int]]:
        outputs = {f"separated_{name}": [1, self.sources * shape[0], *shape[1:]] for name, shape in self.shapes.items()}
        for result, (name, shape) in zip(results, outputs.items(), strict=True):
            graph.reshape(result, shape, name)
        return outputs

    def front_end(self) -> SpectrogramFrontEnd:
        """The transform; nothing is scaled."""
        unscaled = FullScale(spectrogram=1.0, waveform=1.0)
        return SpectrogramFrontEnd(n_fft=self.n_fft, input=unscaled, output=unscaled)
