"""Settings of the Conv-TasNet without a skip path."""

from __future__ import annotations

from pydantic import Field, model_validator

from export_specs.networks import FilterbankSpec


class ConvTasNetMusicSpec(FilterbankSpec):
    """The Conv-TasNet without a skip path and biases: of Demucs version 2 (stereo), and of kaituoxu (``audio_channels`` 1).

    ``bn_chan`` B, ``hid_chan`` H, ``conv_kernel_size`` P, ``n_blocks`` X, ``n_repeats`` R of the temporal network.
    """

    WHOLE_SEGMENTS = "its norms (gLN) take their statistics over a whole segment"

    audio_channels: int = Field(default=2, gt=0)
    bn_chan: int = Field(gt=0)
    hid_chan: int = Field(gt=0)
    conv_kernel_size: int = Field(default=3, gt=0)
    n_blocks: int = Field(gt=0)
    n_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> ConvTasNetMusicSpec:
        if self.conv_kernel_size % 2 == 0:
            raise ValueError("conv_kernel_size must be odd")
        return self

    def waveform_channels(self) -> int:
        return self.audio_channels


SPEC = ConvTasNetMusicSpec
