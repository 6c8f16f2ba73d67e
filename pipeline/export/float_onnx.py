"""The float network as a plain ONNX graph of Conv, ConvTranspose, PRelu, norms and elementwise nodes.

It is written node by node from the layers of the traced network, because an exporter's trace of the channels-last code (unfold,
shifted products, GroupNorm) is what other converters stumble over. Tensors are [1, C, T], as ONNX has them; chunks are one chain of frames,
[1, C, S K], but for what works on each of them, [1, S, K, C].
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from export_specs.file_metadata import ENTRY, FileMetadata, FullScale, SpectrogramFrontEnd
from export_specs.foundation.atomic import atomic_path, sha256
from export_specs.load import spec_sha256
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.layers.attention import float as sequence_layers
from pipeline.layers.chunks import float as chunks
from pipeline.layers.convolution.to_float_onnx import FLOAT_PLANES
from pipeline.layers.elementwise import float as layers
from pipeline.layers.encoder.float import FrameDecoder, RectifiedEncoder
from pipeline.networks.build import build_network
from pipeline.networks.htdemucs.model import HTDemucs
from pipeline.quantization.plain_layers import to_plain_layers
from pipeline.quantization.quantize import trace

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
    load_network(network, weights, spec)
    samples = segment_samples or spec.segment_samples
    model = float_graph(network.eval(), samples, spec.n_src)
    unscaled = FullScale(spectrogram=1.0, waveform=1.0)
    front_end = SpectrogramFrontEnd(n_fft=network.n_fft, input=unscaled, output=unscaled) if isinstance(network, HTDemucs) else None
    digests = {"spec_sha256": spec_sha256(spec), "checkpoint_sha256": sha256(weights)}
    metadata = FileMetadata.of(spec, segment_samples=samples, front_end=front_end, **digests)
    helper.set_model_props(model, {ENTRY: metadata.to_json()})
    with atomic_path(out) as temporary:
        onnx.save(model, temporary)
    return out


def float_graph(network: nn.Module, samples: int, sources: int) -> onnx.ModelProto:
    """The ONNX model of a network made of layers that have a quantized twin; the checker has passed it.

    One of two branches takes and gives what its integer part does: float32 spectrograms [1, C, Fr, F] and waveforms [1, C, T].
    """
    network = copy.deepcopy(network)
    to_plain_layers(network)
    traced = trace(network)
    graph = _Graph()
    waveform: list[int]
    if isinstance(network, HTDemucs):
        inputs = {name: [1, *shape] for name, shape in network.input_shapes(samples).items()}
        examples = [torch.zeros(1, *shape[2:], shape[1], device="meta") for shape in inputs.values()]
        channels, waveform = network.audio_channels, [samples]
    else:
        channels = next(module.filters.shape[1] for module in network.modules() if isinstance(module, layers.Encoder | RectifiedEncoder))
        waveform = [samples] if channels == 1 else [channels, samples]
        inputs = {"mixture": [1, *waveform]}
        examples = [torch.zeros(1, *waveform, device="meta")]
    outputs = {"output": [1, sources, *waveform]}
    shapes_alone = fx.GraphModule(copy.deepcopy(network).to("meta"), traced)
    ShapeProp(shapes_alone).propagate(*examples)
    names: dict[fx.Node, str] = {}
    waiting = iter(inputs.items())
    for node in traced.nodes:
        if node.op == "placeholder":
            name, shape = next(waiting)
            frames = [1, shape[1], math.prod(shape[2:])] if isinstance(network, HTDemucs) else [1, channels, samples]
            names[node] = graph.reshape(name, frames, f"{name}.frames" if isinstance(network, HTDemucs) else "waveform")
        elif node.op == "output" and isinstance(network, HTDemucs):
            outputs = {f"separated_{name}": [1, sources * shape[1], *shape[2:]] for name, shape in inputs.items()}
            for result, (name, shape) in zip(node.args[0], outputs.items(), strict=True):
                graph.reshape(names[result], shape, name)
        elif node.op == "call_module":
            layer = network.get_submodule(str(node.target))
            arguments = [argument for argument in node.args if isinstance(argument, fx.Node)]
            read = [names[argument] for argument in arguments]
            graph.shapes |= {names[argument]: tuple(argument.meta["tensor_meta"].shape) for argument in arguments}
            names[node] = _EMITTERS[type(layer)](graph, layer, read, str(node.target))
        elif node.op == "output":
            result = node.args[0]
            assert isinstance(result, fx.Node)
            if channels > 1:
                graph.reshape(names[result], [1, sources, *waveform], "output")
            graph.nodes[-1].output[0] = "output"
        else:
            raise AssertionError(f"{node.op} {node.target} stands outside the layers of {layers.__name__}")
    taken, given = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()] for side in (inputs, outputs)
    )
    proto = helper.make_graph(graph.nodes, "network", taken, given, graph.initializers)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and initializers of the graph being written; ``shapes`` of tensors as the layers have them, channels last."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.constants: set[str] = set()
        self.made: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | Tensor) -> str:
        """An initializer; the same name is written once."""
        if name in self.constants:
            return name
        self.constants.add(name)
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.made.add(output)
        return output

    def reshape(self, name: str, shape: list[int], output: str) -> str:
        return self.add("Reshape", [name, self.constant(f"{output}.shape", np.array(shape))], output)

    def slice(self, name: str, axis: int, start: int, stop: int, output: str) -> str:
        bounds = [self.constant(f"{output}.{key}", np.array([value])) for key, value in (("start", start), ("stop", stop), ("axis", axis))]
        return self.add("Slice", [name, *bounds], output)

    def as_sequences(self, name: str, shape: tuple[int, ...], output: str) -> str:
        """Frames [1, C, N L] as sequences [1, N, L, C], the ``shape``."""
        return self.reshape(self.add("Transpose", [name], f"{output}.rows", perm=[0, 2, 1]), list(shape), output)

    def as_frames(self, name: str, frames: int, channels: int, output: str) -> str:
        """Sequences [1, N, L, C] as frames [1, C, N L]."""
        return self.add("Transpose", [self.reshape(name, [1, frames, channels], f"{output}.rows_of_all")], output, perm=[0, 2, 1])


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
    output = graph.add("Conv", operands, f"{name}.{inputs[0]}" if name in graph.made else name, kernel_shape=[1])
    activation = {"linear": None, "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[layer.activation]
    return graph.add(activation, [output], f"{output}.{layer.activation}") if activation else output


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
    return graph.slice(inputs[0], 1, layer.start, layer.stop, name)


def _stack(graph: _Graph, layer: layers.StackSources, inputs: list[str], name: str) -> str:
    return graph.add("Concat", inputs, name, axis=1)


def _split(graph: _Graph, layer: chunks.SplitChunks, inputs: list[str], name: str) -> str:
    _, frames, channels = graph.shapes[inputs[0]]
    before, after = layer.padding(frames)
    hop = layer.chunk_size // 2
    count = (before + frames + after) // hop - 1
    padded = graph.add("Pad", [inputs[0], graph.constant(f"{name}.pads", np.array([0, 0, before, 0, 0, after]))], f"{name}.padded")
    halves = graph.as_sequences(padded, (1, count + 1, hop, channels), f"{name}.halves")
    parts = [graph.slice(halves, 1, start, count + start, f"{name}.half{start}") for start in (0, 1)]
    joined = graph.add("Concat", parts, f"{name}.joined", axis=2)
    return graph.as_frames(joined, 2 * hop * count, channels, name)


def _transpose_chunks(graph: _Graph, _: chunks.TransposeChunks, inputs: list[str], name: str) -> str:
    shape = graph.shapes[inputs[0]]
    sequences = graph.as_sequences(inputs[0], shape, f"{name}.sequences")
    turned = graph.add("Transpose", [sequences], f"{name}.turned", perm=[0, 2, 1, 3])
    return graph.as_frames(turned, shape[1] * shape[2], shape[3], name)


def _merge(graph: _Graph, _: chunks.MergeChunks, inputs: list[str], name: str) -> str:
    output = f"{name}.{inputs[0]}"  # one layer serves every source
    shape, frames = graph.shapes[inputs[0]], graph.shapes[inputs[1]][1]
    count, hop, channels = shape[1] - 1, shape[2] // 2, shape[3]
    sequences = graph.as_sequences(inputs[0], shape, f"{output}.sequences")
    parts = []
    for half in range(2):  # the first halves from the second chunk on, the second ones up to the last but one
        chosen = graph.slice(sequences, 1, 1 - half, count + 1 - half, f"{output}.chunks{half}")
        parts.append(graph.slice(chosen, 2, half * hop, (half + 1) * hop, f"{output}.halves{half}"))
    total = graph.as_frames(graph.add("Add", parts, f"{output}.total"), count * hop, channels, f"{output}.padded")
    return graph.slice(total, 2, 0, frames, output)


def _position_table(graph: _Graph, layer: sequence_layers.PositionTable, inputs: list[str], name: str) -> str:
    shape = graph.shapes[inputs[0]]
    sequences = graph.as_sequences(inputs[0], shape, f"{name}.sequences")
    total = graph.add("Add", [sequences, graph.constant(f"{name}.table", layer.rows(shape[2])[None])], f"{name}.total")
    return graph.as_frames(total, shape[1] * shape[2], shape[3], name)


def _attention_heads(graph: _Graph, layer: sequence_layers.AttentionHeads, inputs: list[str], name: str) -> str:
    _, count, length, channels = graph.shapes[inputs[0]]
    width = channels // 3 // layer.heads
    sequences = graph.as_sequences(inputs[0], (1, count, length, channels), f"{name}.sequences")
    outputs = []
    for head in range(layer.heads):
        starts = {kind: part * channels // 3 + head * width for part, kind in enumerate("qkv")}
        query, key, value = (graph.slice(sequences, 3, start, start + width, f"{name}.{kind}{head}") for kind, start in starts.items())
        turned = graph.add("Transpose", [key], f"{name}.turned{head}", perm=[0, 1, 3, 2])
        logits = graph.add("MatMul", [query, turned], f"{name}.logits{head}")
        weights = graph.add("Softmax", [logits], f"{name}.weights{head}", axis=-1)
        outputs.append(graph.add("MatMul", [weights, value], f"{name}.output{head}"))
    return graph.as_frames(graph.add("Concat", outputs, f"{name}.joined", axis=3), count * length, channels // 3, name)


def _bi_lstm(graph: _Graph, layer: sequence_layers.BiLstm, inputs: list[str], name: str) -> str:
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


def _gates(layer: sequence_layers.BiLstm, name: str) -> Tensor:
    """A parameter in ONNX's order: input, output, forget, candidate."""
    i, f, g, o = layer.get_parameter(name).chunk(4)
    return torch.cat([i, o, f, g])


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
    chunks.SplitChunks: _split,
    chunks.TransposeChunks: _transpose_chunks,
    chunks.MergeChunks: _merge,
    sequence_layers.PositionTable: _position_table,
    sequence_layers.AttentionHeads: _attention_heads,
    sequence_layers.BiLstm: _bi_lstm,
    layers.GateProduct: _multiply,
    **FLOAT_PLANES,
}
