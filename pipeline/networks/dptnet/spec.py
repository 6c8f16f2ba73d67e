"""Settings of DPTNet."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.networks.dual_path import DualPathSpec


class DptNetSpec(DualPathSpec):
    """DPTNet (Chen, Mao and Liu 2020): ``bn_chan`` channels of the transformers, ``hid_chan`` of each direction of their LSTMs,
    ``n_repeats`` pairs of a transformer within and one across chunks."""

    WHOLE_SEGMENTS = "its LSTMs run in both directions and its attention is over a whole segment"

    bn_chan: int = Field(gt=0)
    hid_chan: int = Field(gt=0)
    n_repeats: int = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> DptNetSpec:
        self.check_heads(self.bn_chan)
        return self


SPEC = DptNetSpec
