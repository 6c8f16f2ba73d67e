"""First and last layers of the branches of a network."""

from __future__ import annotations

from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling
from pipeline.layers.ends import InputEnd, OutputEnd


class FirstTimeConv(InputEnd, TimeConv):
    """The first layer of a waveform's branch, which FQSS gives a splitter."""


class FirstSpectrumConv(InputEnd, SpectrumConv):
    """The first layer of a spectrogram's branch, which FQSS gives a splitter."""


class LastTimeUpsampling(OutputEnd, TimeUpsampling):
    """The last layer of a waveform's branch, which FQSS gives a reconstructor."""

    def reconstructor_values(self) -> int:
        """The bias of the reconstructor's encoder."""
        return self.in_channels


class LastSpectrumUpsampling(OutputEnd, SpectrumUpsampling):
    """The last layer of a spectrogram's branch, which FQSS gives a reconstructor."""

    def reconstructor_values(self) -> int:
        """The bias of the reconstructor's encoder, and a decoder of its own (reference implementation)."""
        return self.in_channels + sum(weight.numel() for weight in self.parameters())
