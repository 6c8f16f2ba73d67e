"""Quantized bidirectional LSTM: int8 weights, input and output; int16 between, on grids of powers of two.

LiteRT and TFLM multiply int16 alike where all scales are powers of two, and all their kernels read one table of sigmoid and tanh where
the input's step is 2^-10 (docs/adr/0012-integer-lstm.md). All rounding below is what the ONNX nodes hold
(``pipeline/layers/lstm/to_onnx.py``); gradients are those of the float LSTM at the rounded values (straight-through).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.layers.lstm.float import BiLstm
from pipeline.layers.quantized_layer import QuantizedLayer, quantized_bias
from pipeline.quantization.grid import ActivationQuantizer, RectifiedQuantizer, SymmetricQuantizer, WeightQuantizer, straight_through

SUM_STEP = 2.0**-10  # of the products with the weights, their sum and the cell: up to 32
GATE_STEP = 2.0**-15  # of gates, tanh and the hidden state: up to 1
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1


def on_int16_grid(x: Tensor, step: float) -> Tensor:
    """x rounded and saturated to int16 codes of ``step``, without gradient."""
    return torch.round(x / step).clamp_(INT16_MIN, INT16_MAX).mul_(step)


class QuantizedBiLstm(QuantizedLayer):
    """One bidirectional LSTM: [..., L, C] to [..., L, 2 H], forward before backward. A rectifier is a matter of the output's grid.

    Rows of the weights [8 H, ...] and of ``bias`` [8 H]: forward, backward; of each the gates input, forget, output, candidate (torch
    has the candidate before the output), so that the three sigmoids stand together.
    """

    def __init__(self, layer: BiLstm) -> None:
        super().__init__()
        self.hid_chan = layer.hidden_size
        self.input_weight = nn.Parameter(_rows(layer, "weight_ih"))
        self.recurrent_weight = nn.Parameter(_rows(layer, "weight_hh"))
        self.bias = nn.Parameter(_rows(layer, "bias_ih") + _rows(layer, "bias_hh"))
        self.input_quantizer = WeightQuantizer(self.input_weight)
        self.recurrent_quantizer = WeightQuantizer(self.recurrent_weight)
        self.rectified = layer.rectified
        self.output_quantizer: ActivationQuantizer = RectifiedQuantizer() if self.rectified else SymmetricQuantizer()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 has 8 bits, these codes have 16
            hidden = self._hidden_states(x.float().flatten(0, -3)).unflatten(0, x.shape[:-2])
            result: Tensor = self.output_quantizer(functional.relu(hidden) if self.rectified else hidden)
        return result

    def _hidden_states(self, x: Tensor) -> Tensor:
        """Of sequences [N, L, C]: [N, L, 2 H]."""
        bias = quantized_bias(self.bias, self.input_quantizers[0].grid()[0], self.input_quantizer.scale())
        exact = functional.linear(x, self.input_quantizer(self.input_weight)) + bias
        products = straight_through(on_int16_grid(exact.detach(), SUM_STEP), exact)
        forward, backward = products.transpose(0, 1).chunk(2, dim=-1)  # [L, N, 4 H]
        weight = self.recurrent_quantizer(self.recurrent_weight).view(2, 4 * self.hid_chan, self.hid_chan)
        hidden = _Recurrence.apply(torch.stack([forward, backward.flip(0)], dim=1), weight.transpose(1, 2))
        return torch.cat([hidden[:, 0], hidden[:, 1].flip(0)], dim=-1).transpose(0, 1)


def _rows(layer: BiLstm, name: str) -> Tensor:
    """A parameter of torch's LSTM, both directions, in the order of the rows of :class:`QuantizedBiLstm`."""
    directions = [layer.get_parameter(f"{name}_l0{suffix}").detach().chunk(4) for suffix in ("", "_reverse")]
    return torch.cat([gates[index] for gates in directions for index in (0, 1, 3, 2)])


class _Recurrence(torch.autograd.Function):
    """Input products [L, 2, N, 4 H] and weights [2, H, 4 H] of both directions to hidden states [L, 2, N, H], all on their grids.

    One matrix product a step over all sequences and both directions; written out, because autograd would keep a graph of some 20 nodes a
    step.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, weight: Tensor) -> Tensor:
        steps, directions, sequences, rows = products.shape
        hid_chan = rows // 4
        gates = torch.empty_like(products)
        hidden, cells, tanhs = (products.new_zeros(steps + 1, directions, sequences, hid_chan) for _ in range(3))
        for step in range(steps):
            recurrent = on_int16_grid(torch.bmm(hidden[step], weight), SUM_STEP)
            total = recurrent.add_(products[step]).clamp_(INT16_MIN * SUM_STEP, INT16_MAX * SUM_STEP)
            sigmoids, candidate = total.split([3 * hid_chan, hid_chan], dim=-1)
            gates[step, ..., : 3 * hid_chan] = on_int16_grid(torch.sigmoid(sigmoids), GATE_STEP)
            gates[step, ..., 3 * hid_chan :] = on_int16_grid(torch.tanh(candidate), GATE_STEP)
            i, f, o, g = gates[step].chunk(4, dim=-1)
            cell = on_int16_grid(f * cells[step], SUM_STEP).add_(on_int16_grid(i * g, SUM_STEP))
            cells[step + 1] = cell.clamp_(INT16_MIN * SUM_STEP, INT16_MAX * SUM_STEP)
            tanhs[step + 1] = on_int16_grid(torch.tanh(cell), GATE_STEP)
            hidden[step + 1] = on_int16_grid(o * tanhs[step + 1], GATE_STEP)
        ctx.save_for_backward(weight, gates, hidden, cells, tanhs)
        return hidden[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        weight, gates, hidden, cells, tanhs = ctx.saved_tensors
        to_sums = torch.empty_like(gates)
        transposed = weight.transpose(1, 2).contiguous()
        to_hidden, to_cell = torch.zeros_like(hidden[0]), torch.zeros_like(hidden[0])
        for step in reversed(range(len(gates))):
            i, f, o, g = gates[step].chunk(4, dim=-1)
            tanh = tanhs[step + 1]
            to_hidden = to_hidden + gradients[0][step]
            to_cell = to_cell + to_hidden * o * (1 - tanh * tanh)
            to_gates = (to_cell * g, to_cell * cells[step], to_hidden * tanh)
            sigmoids = [gradient * gate * (1 - gate) for gradient, gate in zip(to_gates, (i, f, o), strict=True)]
            torch.cat([*sigmoids, to_cell * i * (1 - g * g)], dim=-1, out=to_sums[step])
            to_hidden, to_cell = torch.bmm(to_sums[step], transposed), to_cell * f
        to_weight = torch.einsum("ldnh,ldnr->dhr", hidden[:-1], to_sums)
        return to_sums, to_weight
