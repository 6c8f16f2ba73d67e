"""Settings of SepFormer."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.networks.dual_path import DualPathSpec


class SepFormerSpec(DualPathSpec):
    """SepFormer (Subakan et al. 2021): the transformers have ``n_filters`` channels, ``n_layers`` layers and a feed-forward network of
    ``ffn_chan``; ``n_repeats`` pairs of a transformer within and one across chunks."""

    WHOLE_SEGMENTS = "its attention is over a whole segment"

    n_layers: int = Field(gt=0)
    ffn_chan: int = Field(gt=0)
    n_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> SepFormerSpec:
        self.check_heads(self.n_filters)
        if self.n_filters % 2:
            raise ValueError("n_filters must be even: its position table is of sines and cosines in pairs")
        return self


SPEC = SepFormerSpec
