"""What can be folded into the weights of a float convolution before it is quantized: gamma and beta of a norm, and gains of channels."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn


class FoldsGain:
    """A layer whose output channels may have been multiplied by a gain, which its quantized form must be told of."""

    folded_gain: Tensor | None = None

    def tell_gain(self, gain: Tensor) -> None:
        """Tell it that ``gain`` [C] is in its weights already; rounded to powers of two, so that dividing by it is exact.

        The factors of a LayerScale begin at 1e-4: a step of training that suits the weights before it would undo those after it.
        """
        self.folded_gain = torch.exp2(torch.round(torch.log2(gain.detach().abs().clamp(min=2.0**-20))))


class FoldingConv(FoldsGain, nn.Conv1d):
    """A convolution that can take over gamma and beta of the norm it reads."""

    @abstractmethod
    def folded(self, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """The weight with gamma [C] in it, and what beta [C] adds to the bias."""

    def take_gain(self, gain: Tensor) -> None:
        """Change the weights in place, so that each output channel is what it was times gain [C]."""
        with torch.no_grad():
            self.weight.mul_(gain[:, None, None])
            if self.bias is not None:
                self.bias.mul_(gain)

    def take_affine(self, gamma: Tensor, beta: Tensor) -> None:
        """Change the weights in place, so that reading z gives what reading gamma * z + beta gave."""
        with torch.no_grad():
            weight, offset = self.folded(gamma, beta)
            if self.bias is None:
                self.bias = nn.Parameter(torch.zeros(self.out_channels))
            self.bias.add_(offset)
            self.weight.copy_(weight)
