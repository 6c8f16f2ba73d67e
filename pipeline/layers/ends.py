"""The first and last layers of networks, to which FQSS gives a splitter and a reconstructor."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class InputEnd:
    """A float layer that reads what enters the network."""


class OutputEnd:
    """A float layer that makes what leaves the network."""

    def reconstructor_values(self) -> int:
        """Values that the paper's reconstructor has besides an encoder of this layer's shape; 0 where it shares the decoder."""
        return 0


class FilterbankOutput(OutputEnd):
    """A synthesis filterbank, whose weights are its filters alone."""

    @property
    def filters(self) -> Tensor:
        """The filters [N, A, kernel_size]."""
        raise NotImplementedError

    def scale_output(self, factor: float) -> None:
        """Multiply the waveforms by ``factor``, in place."""
        with torch.no_grad():
            for filters in cast(nn.Module, self).parameters():
                filters.mul_(factor)
