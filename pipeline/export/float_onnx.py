"""The float network as a plain ONNX graph of Conv, ConvTranspose, PRelu, norms and elementwise nodes.

It is written node by node from the layers of the traced network, because an exporter's trace of the channels-last code (unfold,
shifted products, GroupNorm) is what other converters stumble over. Tensors are [1, C, T], as ONNX has them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from export_specs.atomic import atomic_path, sha256
from export_specs.load import spec_sha256
from export_specs.schema import ModelSpec
from pipeline.models import layers
from pipeline.models.build import build_network
from pipeline.models.checkpoint import load_network
from pipeline.models.filterbanks import FrameDecoder, RectifiedEncoder
from pipeline.quantization.attach import trace

OPSET = 17  # the newest that onnx2tf 1.29 reads without loss: axes are attributes up to here


def export_float(spec: ModelSpec, weights: Path, out: Path, segment_samples: int | None = None) -> Path:
    """Write the float network with the given weights to ``out``, atomically.

    The graph takes ``mixture`` float32 [1, T] and gives ``output`` float32 [1, S, T], of A > 1 audio channels [1, A, T] and
    [1, S, A, T]; 1.0 is full scale.

    Args:
        segment_samples: T; the spec's segment unless given.

    Raises:
        UserError: the checkpoint does not fit the network.
    """
    network = build_network(spec)
    load_network(network, weights)
    samples = segment_samples or spec.segment_samples
    model = float_graph(network.eval(), samples, spec.n_src)
    entries = {"model": spec.name, "sample_rate": spec.sample_rate, "segment_samples": samples, "sources": spec.n_src}
    if spec.source_names:
        entries["source_names"] = ",".join(spec.source_names)
    digests = {"spec_sha256": spec_sha256(spec), "checkpoint_sha256": sha256(weights)}
    helper.set_model_props(model, {key: str(value) for key, value in {**entries, **digests}.items()})
    with atomic_path(out) as temporary:
        onnx.save(model, temporary)
    return out


def float_graph(network: nn.Module, samples: int, sources: int) -> onnx.ModelProto:
    """The ONNX model of a network made of the layers of ``pipeline.models.{layers,filterbanks}``; the checker has passed it."""
    graph = _Graph()
    channels = next(module.filters.shape[1] for module in network.modules() if isinstance(module, layers.Encoder | RectifiedEncoder))
    waveform = [samples] if channels == 1 else [channels, samples]
    names: dict[fx.Node, str] = {}
    for node in trace(network).nodes:
        if node.op == "placeholder":
            shape = graph.constant("waveform_shape", np.array([1, channels, samples]))
            names[node] = graph.add("Reshape", ["mixture", shape], "waveform")
        elif node.op == "call_module":
            layer = network.get_submodule(str(node.target))
            inputs = [names[argument] for argument in node.args if isinstance(argument, fx.Node)]
            names[node] = _EMITTERS[type(layer)](graph, layer, inputs, str(node.target))
        elif node.op == "output":
            result = node.args[0]
            assert isinstance(result, fx.Node)
            if channels > 1:
                graph.add("Reshape", [names[result], graph.constant("output_shape", np.array([1, sources, *waveform]))], "output")
            graph.nodes[-1].output[0] = "output"
        else:
            raise AssertionError(f"{node.op} {node.target} stands outside the layers of {layers.__name__}")
    mixture = helper.make_tensor_value_info("mixture", TensorProto.FLOAT, [1, *waveform])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, sources, *waveform])
    proto = helper.make_graph(graph.nodes, "network", [mixture], [output], graph.initializers)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and initializers of the graph being written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | Tensor) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output


def _encoder(graph: _Graph, layer: layers.Encoder, inputs: list[str], name: str) -> str:
    features = _analysis(graph, layer.filters, layer.stride, inputs[0], name)
    return graph.add("Relu", [features], f"{name}.relu") if layer.relu else features


def _rectified_encoder(graph: _Graph, layer: RectifiedEncoder, inputs: list[str], name: str) -> str:
    return graph.add("Relu", [_analysis(graph, layer.filters, layer.stride[0], inputs[0], name)], f"{name}.relu")


def _analysis(graph: _Graph, filters: Tensor, stride: int, waveform: str, name: str) -> str:
    operands = [waveform, graph.constant(f"{name}.weight", filters)]
    return graph.add("Conv", operands, name, kernel_shape=[filters.shape[2]], strides=[stride])


def _decoder(graph: _Graph, layer: layers.Decoder | FrameDecoder, inputs: list[str], name: str) -> str:
    output = f"{name}.{inputs[0]}"  # one decoder serves every source
    operands = [inputs[0], graph.constant(f"{output}.weight", layer.filters)]
    return graph.add("ConvTranspose", operands, output, kernel_shape=[layer.filters.shape[2]], strides=[layer.stride])


def _pointwise(graph: _Graph, layer: layers.Pointwise, inputs: list[str], name: str) -> str:
    operands = [inputs[0], graph.constant(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        operands.append(graph.constant(f"{name}.bias", layer.bias))
    output = graph.add("Conv", operands, name, kernel_shape=[1])
    activation = {"linear": None, "relu": "Relu", "sigmoid": "Sigmoid"}[layer.activation]
    return graph.add(activation, [output], f"{name}.{layer.activation}") if activation else output


def _depthwise(graph: _Graph, layer: layers.Depthwise, inputs: list[str], name: str) -> str:
    operands = [inputs[0], graph.constant(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        operands.append(graph.constant(f"{name}.bias", layer.bias))
    shape, dilations = list(layer.kernel_size), list(layer.dilation)
    return graph.add("Conv", operands, name, kernel_shape=shape, dilations=dilations, pads=list(layer.pads), group=layer.groups)


def _norm(graph: _Graph, layer: layers.GlobalLayerNorm, inputs: list[str], name: str) -> str:
    axes = [{1: 2, 2: 1}[axis] for axis in layer.axes]  # [B, T, C] in the layer, [B, C, T] here
    mean = graph.add("ReduceMean", inputs, f"{name}.mean", axes=sorted(axes), keepdims=1)
    centred = graph.add("Sub", [inputs[0], mean], f"{name}.centred")
    squares = graph.add("Mul", [centred, centred], f"{name}.squares")
    variance = graph.add("ReduceMean", [squares], f"{name}.variance", axes=sorted(axes), keepdims=1)
    eps = graph.constant(f"{name}.eps", np.full((1, 1, 1), layer.eps, np.float32))
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, eps], f"{name}.stable")], f"{name}.deviation")
    normed = graph.add("Div", [centred, deviation], f"{name}.normed")
    scaled = graph.add("Mul", [normed, graph.constant(f"{name}.gamma", layer.gamma[None, :, None])], f"{name}.scaled")
    return graph.add("Add", [scaled, graph.constant(f"{name}.beta", layer.beta[None, :, None])], name)


def _prelu(graph: _Graph, layer: layers.Prelu, inputs: list[str], name: str) -> str:
    return graph.add("PRelu", [inputs[0], graph.constant(f"{name}.slope", layer.weight.reshape(1, 1))], name)


def _add(graph: _Graph, layer: layers.Add, inputs: list[str], name: str) -> str:
    return graph.add("Add", inputs, name)


def _multiply(graph: _Graph, layer: layers.Multiply, inputs: list[str], name: str) -> str:
    return graph.add("Mul", inputs, f"{name}.{inputs[0]}")


def _select(graph: _Graph, layer: layers.SelectSource, inputs: list[str], name: str) -> str:
    bounds = [
        graph.constant(f"{name}.{key}", np.array([value])) for key, value in {"start": layer.start, "stop": layer.stop, "axis": 1}.items()
    ]
    return graph.add("Slice", [inputs[0], *bounds], name)


def _stack(graph: _Graph, layer: layers.StackSources, inputs: list[str], name: str) -> str:
    return graph.add("Concat", inputs, name, axis=1)


_EMITTERS: dict[type[nn.Module], Callable[..., str]] = {
    layers.Encoder: _encoder,
    RectifiedEncoder: _rectified_encoder,
    layers.Decoder: _decoder,
    FrameDecoder: _decoder,
    layers.Pointwise: _pointwise,
    layers.Depthwise: _depthwise,
    layers.GlobalLayerNorm: _norm,
    layers.ChannelLayerNorm: _norm,
    layers.Prelu: _prelu,
    layers.Add: _add,
    layers.Multiply: _multiply,
    layers.SelectSource: _select,
    layers.StackSources: _stack,
}
