"""A bidirectional LSTM as a float ONNX node."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.export.float_graph import FloatGraph
from pipeline.layers.lstm.float import BiLstm


def emit_float_bi_lstm(graph: FloatGraph, layer: BiLstm, inputs: list[str], name: str) -> str:
    """ONNX's LSTM has gates in another order than torch, [L, N, C] in and [L, 2, N, H] out."""
    _, count, length, channels = graph.shapes[inputs[0]]
    order = {"W": "weight_ih", "R": "weight_hh", "Wb": "bias_ih", "Rb": "bias_hh"}
    stacked = {key: torch.stack([_gates(layer, f"{kind}_l0{suffix}") for suffix in ("", "_reverse")]) for key, kind in order.items()}
    stacked["B"] = torch.cat([stacked.pop("Wb"), stacked.pop("Rb")], dim=1)
    operands = [graph.constant(f"{name}.{key}", value) for key, value in stacked.items()]
    sequences = graph.reshape(
        graph.as_sequences(inputs[0], (1, count, length, channels), f"{name}.sequences"), [count, length, channels], f"{name}.x"
    )
    steps = graph.add("Transpose", [sequences], f"{name}.steps", perm=[1, 0, 2])
    hidden = graph.add("LSTM", [steps, *operands], f"{name}.hidden", direction="bidirectional", hidden_size=layer.hidden_size)
    joined = graph.add("Transpose", [hidden], f"{name}.joined", perm=[2, 0, 1, 3])
    frames = graph.as_frames(joined, count * length, 2 * layer.hidden_size, name)
    return graph.add("Relu", [frames], f"{name}.relu") if layer.rectified else frames


def _gates(layer: BiLstm, name: str) -> Tensor:
    """A parameter in ONNX's order: input, output, forget, candidate."""
    i, f, g, o = layer.get_parameter(name).chunk(4)
    return torch.cat([i, o, f, g])
