"""Export of a quantized network as QDQ ONNX: int16 PCM in and out, nothing but integers between the Q/DQ pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxsim
from torch import fx

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.atomic import atomic_path
from export_specs.foundation.errors import UserError
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.export.tensor_names import tensor_names
from pipeline.layers.registry import LAYERS
from pipeline.layers.sources import QuantizedStackSources
from pipeline.networks.network import Network
from pipeline.quantization.trace import trace


def build_model(network: Network, metadata: FileMetadata, narrow_ends: bool = False) -> onnx.ModelProto:
    """The ONNX model of a quantized network for one segment length, that of its ``metadata``.

    Input ``pcm`` int16 [1, T], output ``separated`` int16 [1, S, T]; of A > 1 audio channels [1, A, T] and [1, S, A, T]. A network of two
    branches has the inputs ``spectrogram`` int16 [1, 2 A, Fr, F] and ``waveform`` [1, A, T], the outputs ``separated_spectrogram``
    [1, S * 2 A, Fr, F] and ``separated_waveform`` [1, S * A, T]. A tensor is named after the layer that makes it
    (:mod:`pipeline.export.tensor_names`); further calls of a shared layer carry ``#1``, ``#2``. ``narrow_ends``: splitter and
    reconstructor are written without int32; the network's samples are the same.

    Raises:
        UserError: a layer has no emitter.
    """
    graph = GraphBuilder(narrow_ends=narrow_ends)
    values: dict[fx.Node, Value] = {}
    calls: Counter[str] = Counter()
    network.eval()
    edges = network.qdq_edges(metadata.segment_samples)
    waiting = iter(edges.inputs())
    results: list[Value] = []
    calls_of_layers = trace(network)
    names = tensor_names(str(node.target) for node in calls_of_layers.nodes if node.op == "call_module")
    for node in calls_of_layers.nodes:
        if node.op == "placeholder":
            values[node] = next(waiting)
        elif node.op == "output":
            returned = node.args[0] if isinstance(node.args[0], tuple) else node.args
            results = [values[result] for result in returned if isinstance(result, fx.Node)]
        else:
            target = str(node.target)
            layer = network.get_submodule(target)
            name = names[target] + (f"#{calls[target]}" if calls[target] else "")
            calls[target] += 1
            if isinstance(layer, QuantizedStackSources):
                name = "separated"
            inputs = [values[argument] for argument in node.args]
            last = LAYERS.emitter(layer, target)(graph, layer, inputs, name)
            values[node] = last if last.sequences is not None else replace(last, sequences=inputs[0].sequences)
    declared = edges.declare(graph, results)
    return graph.model(metadata.model, *declared, metadata.model_copy(update={"front_end": edges.front_end()}))


def export_qdq(network: Network, metadata: FileMetadata, path: Path, narrow_ends: bool = False) -> None:
    """Write a quantized network as QDQ ONNX, after asserting that onnxsim leaves its behaviour alone.

    Args:
        network: a trained quantized network (``pipeline.quantization.quantize``).
        metadata: stored in the file, with the front end that the network has; its ``segment_samples`` are those of the graph.
        narrow_ends: see :func:`build_model`.
    """
    model = build_model(network, metadata, narrow_ends)
    _assert_simplifier_agrees(model)
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)


def _assert_simplifier_agrees(model: onnx.ModelProto) -> None:
    simplified, _ = onnxsim.simplify(model, perform_optimization=False)
    counts = [Counter(node.op_type for node in m.graph.node if node.op_type.endswith("Linear")) for m in (model, simplified)]
    random = np.random.default_rng(0)
    shapes = {item.name: [size.dim_value for size in item.type.tensor_type.shape.dim] for item in model.graph.input}
    feeds = {name: random.integers(-20000, 20000, shape, dtype=np.int16) for name, shape in shapes.items()}
    outputs = []
    for candidate in (model, simplified):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(candidate.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, feeds))
    if counts[0] != counts[1] or not all(map(np.array_equal, *outputs)):
        raise UserError("onnxsim changes the exported graph; this is a fault of the exporter, not of your model")
