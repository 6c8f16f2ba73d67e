"""LeakyRelu -> LEAKY_RELU, or MUL and MAXIMUM."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from pipeline.convert.builtin_operators import DEPTHWISE_CONV_2D, LEAKY_RELU, MAXIMUM, MUL
from pipeline.convert.declaration import lowers
from pipeline.convert.flat_slopes import LEAST_SLOPE
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.convolution import PLAIN_WINDOW, accumulator_grid
from pipeline.convert.quantization import Quantization

STEEP, ONCE = 1 / 16, 0.5
CODES = (127, -128)
OFF_TIES = 1 - 2.0**-17  # a product that is a tie of the first rounding would depend on the precision of the multiplier


@lowers("LeakyRelu", emits=(DEPTHWISE_CONV_2D, LEAKY_RELU, MUL, MAXIMUM))
def lower_leaky_relu(lowering: Lowering, node: NodeProto) -> None:
    """Lower a LeakyRelu on int8.

    LEAKY_RELU of the reference kernels and TFLM rounds the negative branch twice where the slope's multiplier is below 0.5, always away
    from zero: of a slope of 1/16 3 % of the values, of 1/4 25 %. On one grid max(x, slope * x) is the same and rounds once, because the
    multiplier of a product with 127 is small (docs/adr/0017-steep-prelus.md). The same is done below the least slope that XNNPACK takes,
    where no operator before it could take the LeakyRelu in, and for all slopes below 1/2 where products are convolutions: CMSIS-NN has
    no kernel of LEAKY_RELU (docs/adr/0037-cortex-m.md).
    """
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    alpha = float(lowering.graph.attributes(node).get("alpha", 0.01))
    x, y = lowering.tensor(source.name), lowering.tensor(result.name)
    by_convolution = "depthwise-products" in lowering.rewrites
    as_product = STEEP <= abs(alpha) < ONCE or 0 < abs(alpha) < (STEEP if by_convolution else LEAST_SLOPE)
    if source.grid != result.grid or not as_product:
        lowering.emit(node, LEAKY_RELU, [x], [y], alpha=alpha)
        return
    code = CODES[alpha < 0]
    slope_grid = Quantization((alpha / code * OFF_TIES,), (0,))
    grid = result.grid
    scaled = lowering.builder.tensor("scaled", lowering.shape(result.name), np.int8, grid.scales(), grid.zero_points())
    if by_convolution:
        _multiply_by_convolution(lowering, node, x, slope_grid, code, scaled)
    else:
        slope = lowering.constant("slope", np.array([code], np.int8), slope_grid)
        lowering.emit(node, MUL, [x, slope], [scaled])
    lowering.emit(node, MAXIMUM, [x, scaled], [y])


def _multiply_by_convolution(lowering: Lowering, node: NodeProto, x: int, slope: Quantization, code: int, scaled: int) -> None:
    """The product as a depthwise convolution of one tap: CMSIS-NN has fast kernels of it, and a loop over single values for MUL."""
    channels = lowering.builder.kind(x).shape[-1]
    weight = lowering.constant("slopes", np.full((1, 1, 1, channels), code, np.int8), slope.expanded(channels), 3)
    bias = lowering.constant("zero_bias", np.zeros(channels, np.int32), accumulator_grid(channels))
    lowering.emit(node, DEPTHWISE_CONV_2D, [x, weight, bias], [scaled], **PLAIN_WINDOW, depthMultiplier=1)
