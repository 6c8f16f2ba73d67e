"""Settings of Conv-TasNet for speech."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from export_specs.networks import FilterbankSpec


class ConvTasNetSpec(FilterbankSpec):
    """Conv-TasNet in the field's names (Luo and Mesgarani 2019; Asteroid's argument names).

    ``bn_chan`` B, ``hid_chan`` H, ``skip_chan`` Sc, ``conv_kernel_size`` P, ``n_blocks`` X, ``n_repeats`` R of the temporal network.
    ``lookahead_blocks``: of a causal network, how many first blocks have half of their convolution's span in the future.
    ``norm``: ``layer`` takes its statistics from the signal, as published: gLN, or cLN where ``causal``; ``frozen`` from the training data.
    """

    bn_chan: int = Field(gt=0)
    hid_chan: int = Field(gt=0)
    skip_chan: int = Field(gt=0)
    conv_kernel_size: int = Field(default=3, gt=0)
    n_blocks: int = Field(gt=0)
    n_repeats: int = Field(gt=0)
    causal: bool = False
    lookahead_blocks: int = Field(default=0, ge=0, description="dilations 1, 2, 4, …: so many frames of latency more, together")
    norm: Literal["layer", "frozen"] = "layer"
    mask_act: Literal["relu", "sigmoid"] = "relu"
    encoder_act: Literal["linear", "relu"] = "linear"

    @model_validator(mode="after")
    def _check(self) -> ConvTasNetSpec:
        if not self.causal and self.conv_kernel_size % 2 == 0:
            raise ValueError("conv_kernel_size must be odd unless causal is true")
        if self.lookahead_blocks and (not self.causal or self.conv_kernel_size % 2 == 0):
            raise ValueError("lookahead_blocks are of a causal network whose conv_kernel_size is odd")
        if self.lookahead_blocks > self.n_blocks * self.n_repeats:
            raise ValueError(f"lookahead_blocks {self.lookahead_blocks}: there are {self.n_blocks * self.n_repeats} blocks")
        return self

    def norms_follow_recipe(self) -> bool:
        return not self.causal and self.norm == "layer"

    def check_streaming(self) -> None:
        if not self.causal:
            reason = (
                "the convolutions look far ahead" if self.norm == "frozen" else "the norms (gLN) take their statistics over a whole segment"
            )
            raise ValueError(f"streaming: {reason}; set causal: true")
        if self.kernel_size % self.stride:
            raise ValueError(f"streaming: kernel_size {self.kernel_size} must be a multiple of stride {self.stride}")


SPEC = ConvTasNetSpec
