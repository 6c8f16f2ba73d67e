"""Integer gLN of one int8 difference and one int8 product with scalars, which every vector unit has kernels for (XNNPACK).

Both scalars are computed in int32 from the frames' energies.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.declaration import Twin
from pipeline.layers.global_norm.integer_statistics import CodeMoments, IntegerStatisticsNorm, StatisticsConstants, emit_statistics
from pipeline.layers.global_norm.two_scalars import TwoScalarsNorm, emit_difference, emit_product
from pipeline.layers.quantized_norm import Moments
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, agreed_factor


class ScalarGainNorm(TwoScalarsNorm, IntegerStatisticsNorm):
    """gLN without affine on int8, with statistics in int32."""

    largest_gain = 127

    def rstd_grid(self) -> Tensor:
        """A trifle larger than it need be: the product with it is the same on every runtime."""
        return self._constants_and_rstd_grid()[1]

    def constants(self) -> StatisticsConstants:
        return self._constants_and_rstd_grid()[0]

    def _constants_and_rstd_grid(self) -> tuple[StatisticsConstants, Tensor]:
        """Both at once: the search for the grid takes part of a training step."""
        with torch.no_grad():
            c = super().constants()
            assert isinstance(self.output_quantizer, ActivationQuantizer)
            rstd_grid = agreed_factor(c.rstd_scale / c.x_scale, self.centred_quantizer.grid()[0], self.output_quantizer.grid()[0])
            return replace(c, rstd_scale=rstd_grid * c.x_scale), rstd_grid

    def scalars(self, x: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        assert isinstance(moments, CodeMoments)
        with torch.no_grad():
            c, rstd_grid = self._constants_and_rstd_grid()
            mean_code, rstd_code = self.statistics(moments, c)
            scale, zero_point = self.mean_grid()
            centre = torch.round(mean_code * (c.x_scale / 128) / scale) + zero_point
            return (centre.clamp(QMIN, QMAX) - zero_point) * scale, rstd_code * rstd_grid


def emit_scalar_gain(graph: GraphBuilder, layer: ScalarGainNorm, inputs: list[Value], name: str) -> Value:
    """The ops of :class:`ScalarGainNorm`; the scalars are of rank 1."""
    (x,) = inputs
    mean16, rstd = emit_statistics(graph, layer, x, name)
    centred = emit_difference(graph, layer, x, graph.dequantize(mean16, np.float32(x.grid() / 128), dtype=np.int16), name)
    return emit_product(graph, layer, centred, rstd, 0, name)


TWIN = Twin(ScalarGainNorm, emit_scalar_gain, without_affine=True)
