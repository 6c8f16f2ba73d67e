"""The settings of each network, in the names of its published implementation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from export_specs.strict import Strict

Architecture = Literal["convtasnet", "dptnet", "sepformer", "convtasnet_music", "htdemucs"]


class FilterbankSpec(Strict):
    """What every network between two learned filterbanks has: ``n_filters`` N, ``kernel_size`` L and ``stride`` in samples."""

    n_filters: int = Field(gt=0)
    kernel_size: int = Field(gt=1)
    stride: int = Field(gt=0)

    @model_validator(mode="after")
    def _check_stride(self) -> FilterbankSpec:
        if self.stride > self.kernel_size:
            raise ValueError(f"stride {self.stride} is larger than kernel_size {self.kernel_size}: samples would be lost between frames")
        return self


class ConvTasNetSpec(FilterbankSpec):
    """Conv-TasNet in the field's names (Luo and Mesgarani 2019; Asteroid's argument names).

    ``bn_chan`` B, ``hid_chan`` H, ``skip_chan`` Sc, ``conv_kernel_size`` P, ``n_blocks`` X, ``n_repeats`` R of the temporal network.
    """

    bn_chan: int = Field(gt=0)
    hid_chan: int = Field(gt=0)
    skip_chan: int = Field(gt=0)
    conv_kernel_size: int = Field(default=3, gt=0)
    n_blocks: int = Field(gt=0)
    n_repeats: int = Field(gt=0)
    causal: bool = False
    mask_act: Literal["relu", "sigmoid"] = "relu"
    encoder_act: Literal["linear", "relu"] = "linear"

    @model_validator(mode="after")
    def _check(self) -> ConvTasNetSpec:
        if not self.causal and self.conv_kernel_size % 2 == 0:
            raise ValueError("conv_kernel_size must be odd unless causal is true")
        return self


class ConvTasNetMusicSpec(FilterbankSpec):
    """The Conv-TasNet without a skip path and biases: of Demucs version 2 (stereo), and of kaituoxu (``audio_channels`` 1).

    ``bn_chan`` B, ``hid_chan`` H, ``conv_kernel_size`` P, ``n_blocks`` X, ``n_repeats`` R of the temporal network.
    """

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


class DualPathSpec(FilterbankSpec):
    """What the dual-path networks share: attention of ``n_heads`` within and across half-overlapping chunks of ``chunk_size`` frames."""

    chunk_size: int = Field(gt=1)
    n_heads: int = Field(gt=0)

    @model_validator(mode="after")
    def _check_chunks(self) -> DualPathSpec:
        if self.chunk_size % 2:
            raise ValueError(f"chunk_size {self.chunk_size} must be even: neighbouring chunks share half of their frames")
        return self

    def check_heads(self, channels: int) -> None:
        """Refuse a number of heads that does not divide the channels."""
        if channels % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} does not divide the {channels} channels of the attention")


class DptNetSpec(DualPathSpec):
    """DPTNet (Chen, Mao and Liu 2020): ``bn_chan`` channels of the transformers, ``hid_chan`` of each direction of their LSTMs,
    ``n_repeats`` pairs of a transformer within and one across chunks."""

    bn_chan: int = Field(gt=0)
    hid_chan: int = Field(gt=0)
    n_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> DptNetSpec:
        self.check_heads(self.bn_chan)
        return self


class SepFormerSpec(DualPathSpec):
    """SepFormer (Subakan et al. 2021): the transformers have ``n_filters`` channels, ``n_layers`` layers and a feed-forward network of
    ``ffn_chan``; ``n_repeats`` pairs of a transformer within and one across chunks."""

    n_layers: int = Field(gt=0)
    ffn_chan: int = Field(gt=0)
    n_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> SepFormerSpec:
        self.check_heads(self.n_filters)
        if self.n_filters % 2:
            raise ValueError("n_filters must be even: its position table is of sines and cosines in pairs")
        return self


class HtDemucsSpec(Strict):
    """HTDemucs (Rouard, Massa and Défossez 2023) in the demucs package's names.

    ``depth`` layers of ``kernel_size`` and ``stride``, over the frequencies of a spectrogram of ``nfft`` and over the samples, with
    ``channels`` in the first and twice as many in each further one; ``t_layers`` transformer layers of ``bottom_channels``.
    """

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


NetworkSpec = ConvTasNetSpec | DptNetSpec | SepFormerSpec | ConvTasNetMusicSpec | HtDemucsSpec
NETWORK_SPECS: dict[Architecture, type[NetworkSpec]] = {
    "convtasnet": ConvTasNetSpec,
    "dptnet": DptNetSpec,
    "sepformer": SepFormerSpec,
    "convtasnet_music": ConvTasNetMusicSpec,
    "htdemucs": HtDemucsSpec,
}
