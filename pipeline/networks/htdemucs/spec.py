"""Settings of HTDemucs."""

from __future__ import annotations

from pydantic import Field, model_validator

from export_specs.networks import NetworkSpec


class HtDemucsSpec(NetworkSpec):
    """HTDemucs (Rouard, Massa and Défossez 2023) in the demucs package's names.

    ``depth`` layers of ``kernel_size`` and ``stride``, over the frequencies of a spectrogram of ``nfft`` and over the samples, with
    ``channels`` in the first and twice as many in each further one; ``t_layers`` transformer layers of ``bottom_channels``.
    """

    WHOLE_SEGMENTS = "its transformer's attention is over a whole segment"

    audio_channels: int = Field(default=2, gt=0)
    channels: int = Field(gt=0, multiple_of=8)
    nfft: int = Field(gt=0, multiple_of=4)
    depth: int = Field(gt=0)
    kernel_size: int = Field(gt=1, multiple_of=4)
    stride: int = Field(gt=1)
    bottom_channels: int = Field(gt=0, multiple_of=4)
    t_layers: int = Field(gt=0)
    t_heads: int = Field(gt=0)
    t_hidden_scale: float = Field(default=4.0, gt=0)

    @model_validator(mode="after")
    def _check(self) -> HtDemucsSpec:
        bins, factor = self.nfft // 2, self.stride**self.depth
        if self.kernel_size != 2 * self.stride or bins % factor or bins // self.stride ** (self.depth - 1) <= self.kernel_size:
            raise ValueError(
                f"kernel_size must be twice the stride, and nfft / 2 = {bins} divisible by stride ** depth = {factor}, "
                "with more bins than kernel_size before the last layer"
            )
        if self.bottom_channels % self.t_heads:
            raise ValueError(f"t_heads {self.t_heads} does not divide bottom_channels {self.bottom_channels}")
        return self

    def waveform_channels(self) -> int:
        return self.audio_channels

    def frame(self) -> tuple[int, int]:
        return self.kernel_size, self.stride


SPEC = HtDemucsSpec
