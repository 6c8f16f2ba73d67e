"""A bidirectional LSTM of random weights and grids, written alone as ONNX and TFLite file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from pipeline.convert.convert import ConversionSummary, convert
from pipeline.export.qdq_graph import INT8, GraphBuilder, Value, tensor_info
from pipeline.layers.lstm.float import BiLstm
from pipeline.layers.lstm.quantized import QuantizedBiLstm
from pipeline.layers.lstm.to_onnx import WITHIN, emit_scan
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer


@dataclass(frozen=True)
class LstmCase:
    """The layer, its float original, int8 codes [1, S, K, C] with their grid, and the axis it runs along."""

    float_layer: BiLstm
    layer: QuantizedBiLstm
    codes: np.ndarray
    scale: np.float32
    zero_point: int
    axis: int

    @property
    def x(self) -> torch.Tensor:
        """The sequences [N, L, C] that the codes stand for."""
        return self.sequences(torch.from_numpy((self.codes[0].astype(np.float32) - np.float32(self.zero_point)) * self.scale))

    def sequences(self, chunks: torch.Tensor) -> torch.Tensor:
        """[S, K, C] to [N, L, C], and back."""
        return chunks if self.axis == WITHIN else chunks.transpose(0, 1)

    def model(self) -> onnx.ModelProto:
        """The layer alone, from ``x`` to ``y``."""
        _, S, K, C = self.codes.shape
        graph = GraphBuilder()
        y = emit_scan(graph, self.layer, Value("x", C, S * K, self.scale, self.zero_point), (S, K), self.axis, "y")
        ends = [tensor_info("x", INT8, [1, S, K, C]), tensor_info(y.name, INT8, [1, S, K, y.channels])]
        return graph.model("lstm", ends[:1], ends[1:])

    def write(self, folder: Path) -> tuple[Path, Path, ConversionSummary]:
        """The ONNX and the TFLite file."""
        onnx.save(self.model(), folder / "lstm.onnx")
        return folder / "lstm.onnx", folder / "lstm.tflite", convert(folder / "lstm.onnx", folder / "lstm.tflite")


def lstm_case(
    seed: int, axis: int, chunks: tuple[int, int], channels: int, hid_chan: int, gain: float = 1.0, step: float | None = None
) -> LstmCase:
    """Weights as torch initialises them, times ``gain``; normal inputs with an observed grid, or full-range ones of a given step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    float_layer = BiLstm(channels, hid_chan)
    with torch.no_grad():
        for parameter in float_layer.parameters():
            parameter.mul_(gain)
    before, layer = ActivationQuantizer(), QuantizedBiLstm(float_layer)
    layer.connect([before])
    with torch.no_grad():
        if step is None:
            chunked = torch.from_numpy(rng.normal(rng.uniform(-0.3, 0.3), 1, (*chunks, channels))).float()
            before.observe(chunked)
        else:
            zero_point = int(rng.integers(-100, 100))
            before.minimum.fill_(step * (QMIN - zero_point))
            before.maximum.fill_(step * (QMAX - zero_point))
        scale, zero = (float(value) for value in before.grid())
        if step is None:
            codes = np.clip(np.rint(chunked.numpy() / scale) + zero, QMIN, QMAX)
        else:
            codes = rng.integers(QMIN, QMAX + 1, (*chunks, channels))
        case = LstmCase(float_layer, layer, codes[None].astype(np.int8), np.float32(scale), int(zero), axis)
        layer.output_quantizer.observing = True
        layer(case.x)
        layer.output_quantizer.observing = False
    layer.eval()
    return case
