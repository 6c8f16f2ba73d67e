"""What every network answers for itself, so that nothing outside its folder asks which one it is."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.export.edges import FloatEdges, FloatPcmEdges, PcmEdges, QdqEdges


class Network(nn.Module):
    """Base of the float networks; a quantized twin has the same class, and other layers inside.

    Attributes:
        audio_channels: of a waveform; tensors are [B, T] for 1, else [B, audio_channels, T].
        integer_part: the method that calls the layers that are quantized and exported. What else ``forward`` does stays float for good and
            is computed by a device's front end.
        whole_segments: whether it always works on a segment of the spec's length.
    """

    audio_channels: int = 1
    integer_part: ClassVar[str] = "forward"
    whole_segments: ClassVar[bool] = False

    def example_inputs(self, samples: int) -> list[Tensor]:
        """What the integer part takes of one example of so many samples, as shapes alone (on torch's meta device)."""
        channels = [] if self.audio_channels == 1 else [self.audio_channels]
        return [torch.empty(1, *channels, samples, device="meta")]

    def qdq_edges(self, samples: int) -> QdqEdges:
        """What enters and leaves the quantized network's ONNX graph for segments of so many samples."""
        return PcmEdges(self.audio_channels, samples)

    def float_edges(self, samples: int, sources: int) -> FloatEdges:
        """What enters and leaves the float network's ONNX graph for segments of so many samples."""
        return FloatPcmEdges(self.audio_channels, samples, sources)

    def gather_biases(self) -> None:
        """Move biases, in place, to where fewer constants hold the same function; called when norms' beta has been folded into them."""
