"""PRelu -> PRELU."""

from __future__ import annotations

from onnx import NodeProto

from pipeline.convert.builtin_operators import PRELU
from pipeline.convert.declaration import lowers
from pipeline.convert.lowering import Lowering


@lowers("PRelu", emits=(PRELU,))
def lower_prelu(lowering: Lowering, node: NodeProto) -> None:
    """Lower a PRelu on int8 with a constant int8 slope: one value, or one a channel ([C, 1])."""
    source, slope, result = lowering.dequantized(node, 0), lowering.dequantized(node, 1), lowering.quantized(node)
    lowering.require(node, slope.name in lowering.graph.constants, "its slope is computed at run time", "make the slope an initializer")
    value = lowering.graph.constants[slope.name].reshape(-1)
    channels = lowering.shape(source.name)[-1]
    lowering.require(
        node, value.size in (1, channels), f"its slope has {value.size} values for {channels} channels", "one slope, or one a channel"
    )
    alpha = lowering.derived(("slope", slope.name), lambda: lowering.constant(slope.name, value.reshape(1, 1, -1), slope.grid))
    lowering.emit(node, PRELU, [lowering.tensor(source.name), alpha], [lowering.tensor(result.name)])
