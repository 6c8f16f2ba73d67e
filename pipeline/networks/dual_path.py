"""Settings that the dual-path networks share."""

from __future__ import annotations

from pydantic import Field, model_validator

from export_specs.networks import FilterbankSpec


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
