"""Pointwise and depthwise convolutions, and the rectifiers that follow them."""

from __future__ import annotations

from pipeline.export.qdq_graph import GraphBuilder, Value, layer_name
from pipeline.layers.elementwise import quantized as layers


def emit_pointwise(graph: GraphBuilder, layer: layers.Pointwise, inputs: list[Value], name: str) -> Value:
    """Conv k1, with Relu, Sigmoid or Tanh where the layer has one."""
    (x,) = inputs
    edge = graph.node("Conv", _operands(graph, layer, x, layer_name(name)), f"{name}/conv")
    if layer.activation == "relu":
        edge = graph.node("Relu", [edge], f"{name}/relu")
    if layer.activation in layer.kernel_grids:
        before = graph.write(edge, f"{name}.in", len(layer.weight), x.frames, layer.input_quantizer)
        edge = graph.node(layer.activation.capitalize(), [graph.read(before)], f"{name}/{layer.activation}")
    return graph.write(edge, name, len(layer.weight), x.frames, layer.output_quantizer)


def emit_depthwise(graph: GraphBuilder, layer: layers.Depthwise, inputs: list[Value], name: str) -> Value:
    """Conv with as many groups as channels, dilated."""
    (x,) = inputs
    operands = _operands(graph, layer, x, name)
    edge = graph.node("Conv", operands, f"{name}/conv", group=x.channels, dilations=list(layer.dilation), pads=list(layer.pads))
    return graph.write(edge, name, x.channels, x.frames, layer.output_quantizer)


def _operands(graph: GraphBuilder, layer: layers.WeightedLayer, x: Value, name: str) -> list[str]:
    """Input, weight and, where the layer has one, bias of a Conv."""
    codes, scale = layer.weight_quantizer.codes(layer.weight).numpy(), layer.weight_quantizer.scale().numpy()
    operands = [graph.read(x), graph.weight(f"{name}.weight", codes, scale, 0)]
    bias = layer.whole_bias()
    if bias is not None:
        operands.append(graph.bias(f"{name}.bias", bias.detach().numpy(), x.grid(), scale))
    return operands
