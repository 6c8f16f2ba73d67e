"""Export of a quantized network as QDQ ONNX: int16 PCM in and out, nothing but integers between the Q/DQ pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
from torch import fx, nn

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.atomic import atomic_path
from export_specs.foundation.errors import UserError
from pipeline.export.edges import BranchEdges, PcmEdges
from pipeline.export.qdq_graph import GraphBuilder, Value
from pipeline.layers.attention.quantized import AttentionHeads, PositionTable
from pipeline.layers.attention.to_onnx import emit_attention_heads, emit_cross_heads
from pipeline.layers.branch_ends import quantized as branch_ends
from pipeline.layers.branch_ends import to_onnx as ends
from pipeline.layers.chunks import quantized as chunks
from pipeline.layers.chunks.to_onnx import emit_merge_chunks, emit_split_chunks, emit_transpose_chunks
from pipeline.layers.convolution import quantized as planes
from pipeline.layers.convolution import to_onnx as plane_ops
from pipeline.layers.decoder.quantized import ByteDecoder, ReconstructingDecoder
from pipeline.layers.decoder.to_onnx import emit_byte_decoder, emit_reconstructing_decoder
from pipeline.layers.elementwise import quantized as layers
from pipeline.layers.elementwise.to_onnx import emit_add, emit_multiply, emit_prelu, emit_select_source, emit_stack_sources
from pipeline.layers.encoder.quantized import ByteEncoder, SplitEncoder
from pipeline.layers.encoder.to_onnx import emit_byte_encoder, emit_split_encoder
from pipeline.layers.lstm.quantized import BiLstm
from pipeline.layers.lstm.to_onnx import emit_bi_lstm
from pipeline.layers.norms.channel_norm import NormCln
from pipeline.layers.norms.channel_norm_to_onnx import emit_norm_cln
from pipeline.layers.norms.int16_elementwise import NormB14
from pipeline.layers.norms.int16_elementwise_to_onnx import emit_norm_b14
from pipeline.layers.norms.runtime_filter import NormC23
from pipeline.layers.norms.runtime_filter_to_onnx import emit_norm_c23
from pipeline.layers.norms.scalar_gain import NormC25
from pipeline.layers.norms.scalar_gain_to_onnx import emit_norm_c25
from pipeline.layers.norms.sequences_norm import NormSequences
from pipeline.layers.norms.sequences_norm_to_onnx import emit_norm_sequences
from pipeline.layers.pointwise.to_onnx import emit_depthwise, emit_pointwise
from pipeline.layers.tables.to_onnx import emit_position_table
from pipeline.networks.htdemucs.model import HTDemucs
from pipeline.quantization.quantize import trace

Emitter = Callable[[GraphBuilder, Any, list[Value], str], Value]

EMITTERS: dict[type[nn.Module], Emitter] = {
    SplitEncoder: emit_split_encoder,
    ByteEncoder: emit_byte_encoder,
    layers.Pointwise: emit_pointwise,
    layers.Depthwise: emit_depthwise,
    layers.Prelu: emit_prelu,
    layers.Add: emit_add,
    layers.Multiply: emit_multiply,
    layers.SelectSource: emit_select_source,
    layers.StackSources: emit_stack_sources,
    chunks.SplitChunks: emit_split_chunks,
    chunks.TransposeChunks: emit_transpose_chunks,
    chunks.MergeChunks: emit_merge_chunks,
    AttentionHeads: emit_attention_heads,
    BiLstm: emit_bi_lstm,
    PositionTable: emit_position_table,
    NormC23: emit_norm_c23,
    NormC25: emit_norm_c25,
    NormB14: emit_norm_b14,
    NormCln: emit_norm_cln,
    ReconstructingDecoder: emit_reconstructing_decoder,
    ByteDecoder: emit_byte_decoder,
    branch_ends.SplitConvolution: ends.emit_split_convolution,
    branch_ends.ByteConvolution: ends.emit_byte_convolution,
    branch_ends.ReconstructingUpsampling: ends.emit_reconstructing_upsampling,
    branch_ends.ByteUpsampling: ends.emit_byte_upsampling,
    planes.Convolution: plane_ops.emit_convolution,
    planes.Upsampling: plane_ops.emit_upsampling,
    planes.GateProduct: emit_multiply,
    planes.Activation: plane_ops.emit_activation,
    planes.PadToStride: plane_ops.emit_pad_to_stride,
    planes.Crop: plane_ops.emit_crop,
    planes.JoinBins: plane_ops.emit_join_bins,
    planes.SplitBins: plane_ops.emit_split_bins,
    planes.Table: plane_ops.emit_table,
    planes.CrossHeads: emit_cross_heads,
    NormSequences: emit_norm_sequences,
}


def build_model(network: nn.Module, metadata: FileMetadata) -> onnx.ModelProto:
    """The ONNX model of a quantized network for one segment length, that of its ``metadata``.

    Input ``pcm`` int16 [1, T], output ``separated`` int16 [1, S, T]; of A > 1 audio channels [1, A, T] and [1, S, A, T]. A network of two
    branches has the inputs ``spectrogram`` int16 [1, 2 A, Fr, F] and ``waveform`` [1, A, T], the outputs ``separated_spectrogram``
    [1, S * 2 A, Fr, F] and ``separated_waveform`` [1, S * A, T]. A tensor is named after the layer that makes it; further calls of a
    shared layer carry ``#1``, ``#2``.

    Raises:
        UserError: a layer has no emitter.
    """
    graph = GraphBuilder()
    values: dict[fx.Node, Value] = {}
    calls: Counter[str] = Counter()
    network.eval()
    samples = metadata.segment_samples
    edges = BranchEdges(network, samples) if isinstance(network, HTDemucs) else PcmEdges(network, samples)
    waiting = iter(edges.inputs())
    results: list[Value] = []
    for node in trace(network).nodes:
        if node.op == "placeholder":
            values[node] = next(waiting)
        elif node.op == "output":
            returned = node.args[0] if isinstance(node.args[0], tuple) else node.args
            results = [values[result] for result in returned if isinstance(result, fx.Node)]
        elif node.op == "call_module":
            target = str(node.target)
            layer = network.get_submodule(target)
            if type(layer) not in EMITTERS:
                raise UserError(f"layer {target} ({type(layer).__name__}) cannot be exported to QDQ ONNX")
            name = tensor_name(target) + (f"#{calls[target]}" if calls[target] else "")
            calls[target] += 1
            if isinstance(layer, layers.StackSources):
                name = "separated"
            inputs = [values[argument] for argument in node.args]
            last = EMITTERS[type(layer)](graph, layer, inputs, name)
            values[node] = last if last.sequences is not None else replace(last, sequences=inputs[0].sequences)
    declared = edges.declare(graph, results)
    return graph.model(metadata.model, *declared, metadata.model_copy(update={"front_end": edges.front_end()}))


def tensor_name(path: str) -> str:
    """What the output of the layer at a module path is called. Shorter than the path: names are a twentieth of a small file."""
    shorter = {"masker.": "", ".shared_block": "", "TCN.": "tcn", "residual_add": "add", "_conv": "", "skip_add": "skip"}
    of_music = {"separator.network.2.": "tcn", "separator.network.": "masker", ".conv1d_U": "", ".basis_signals": ""}
    of_sepformer = {"masknet.": "", "dual_mdl.": "pair", "_mdl": "", ".mdl": "", ".layers": "", ".self_att.att": "", ".pos_ffn.ffn": ".ffn"}
    of_sepformer |= {"norm.norm": "norm", "norm1.norm": "norm1", "norm2.norm": "norm2"}
    of_dptnet = {"separator.": "", "DPT.output": "to_sources", "DPT.": "", "_transformer.": "", ".transformer": "", ".self_attn": ""}
    of_dptnet |= {"norm1.normalised": "norm1", "norm2.normalised": "norm2"}
    for long, short in (shorter | of_music | of_dptnet | of_sepformer).items():
        path = path.replace(long, short)
    return path


def export_qdq(network: nn.Module, metadata: FileMetadata, path: Path) -> None:
    """Write a quantized network as QDQ ONNX, after asserting that onnxsim leaves its behaviour alone.

    Args:
        network: a trained quantized network (``pipeline.quantization.quantize.quantize``).
        metadata: stored in the file, with the front end that the network has; its ``segment_samples`` are those of the graph.
    """
    model = build_model(network, metadata)
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
