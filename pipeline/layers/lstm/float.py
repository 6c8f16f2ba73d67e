"""Bidirectional LSTMs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.accounting import Macs


class BiLstm(nn.LSTM):
    """One bidirectional LSTM, its output rectified where asked for: [..., L, C] to [..., L, 2 * hid_chan], forward before backward."""

    def __init__(self, channels: int, hid_chan: int, rectified: bool = False) -> None:
        super().__init__(channels, hid_chan, batch_first=True, bidirectional=True)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # its states are nobody's business here
        if x.is_meta:  # where shapes alone are asked for, torch would unroll the recurrence
            return x.new_empty(*x.shape[:-1], 2 * self.hidden_size)
        hidden: Tensor = super().forward(x.flatten(0, -3))[0].unflatten(0, x.shape[:-2])
        return functional.relu(hidden) if self.rectified else hidden

    def macs(self, inputs: tuple[Any, ...], output: Tensor) -> Macs:
        """The paper's counter multiplies the recurrent matrix by the number of hidden units instead of the length of the sequence."""
        length, channels = inputs[0].shape[-2:]
        sequences = inputs[0].numel() // (length * channels)
        gates, hidden = 4 * self.hidden_size, self.hidden_size
        of_inputs = 2 * sequences * length * gates * channels
        return Macs(of_inputs + 2 * sequences * hidden * gates * hidden, of_inputs + 2 * sequences * length * gates * hidden)

    def int8_weights(self) -> tuple[int, int]:
        """A scale for each row of the matrices."""
        matrices = [weight for name, weight in self.named_parameters() if name.startswith("weight")]
        return sum(map(len, matrices)), sum(matrix.numel() for matrix in matrices)
