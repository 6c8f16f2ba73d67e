"""The float network as a plain ONNX graph of Conv, ConvTranspose, PRelu, norms and elementwise nodes.

It is written node by node from the layers of the traced network, because an exporter's trace of the channels-last code (unfold,
shifted products, GroupNorm) is what other converters stumble over. Tensors are [1, C, T], as ONNX has them; chunks are one chain of frames,
[1, C, S K], but for what works on each of them, [1, S, K, C].
"""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from export_specs.file_metadata import ENTRY, FileMetadata
from export_specs.foundation.atomic import atomic_path, sha256
from export_specs.load import spec_sha256
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.export.float_graph import FloatGraph
from pipeline.layers.plain import to_plain_layers
from pipeline.layers.registry import LAYERS
from pipeline.networks.build import build_network
from pipeline.networks.network import Network
from pipeline.quantization.trace import trace

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
    front_end = network.float_edges(samples, spec.n_src).front_end()
    digests = {"spec_sha256": spec_sha256(spec), "checkpoint_sha256": sha256(weights)}
    metadata = FileMetadata.of(spec, segment_samples=samples, front_end=front_end, **digests)
    helper.set_model_props(model, {ENTRY: metadata.to_json()})
    with atomic_path(out) as temporary:
        onnx.save(model, temporary)
    return out


def float_graph(network: Network, samples: int, sources: int) -> onnx.ModelProto:
    """The ONNX model of a network made of layers that have a quantized form; the checker has passed it.

    Inputs and outputs are those of the network's ``float_edges``.

    Raises:
        UserError: something outside of the layers is computed.
    """
    network = copy.deepcopy(network)
    to_plain_layers(network)
    edges = network.float_edges(samples, sources)
    traced = trace(network)
    ShapeProp(fx.GraphModule(copy.deepcopy(network).to("meta"), traced)).propagate(*network.example_inputs(samples))
    graph = FloatGraph()
    names: dict[fx.Node, str] = {}
    waiting, outputs = iter(edges.inputs()), dict[str, list[int]]()
    for node in traced.nodes:
        if node.op == "placeholder":
            names[node] = edges.enter(graph, next(waiting))
        elif node.op == "output":
            returned = node.args[0] if isinstance(node.args[0], tuple) else node.args
            outputs = edges.leave(graph, [names[result] for result in returned])
        else:
            layer, path = network.get_submodule(str(node.target)), str(node.target)
            arguments = [argument for argument in node.args if isinstance(argument, fx.Node)]
            graph.shapes |= {names[argument]: tuple(argument.meta["tensor_meta"].shape) for argument in arguments}
            names[node] = LAYERS.float_emitter(layer)(graph, layer, [names[argument] for argument in arguments], path)
    taken, given = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
        for side in (edges.inputs(), outputs)
    )
    proto = helper.make_graph(graph.nodes, "network", taken, given, graph.initializers)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model
