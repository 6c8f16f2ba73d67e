"""From a float network to its quantized twin: layers are replaced one by one, and each is told its inputs' grids."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from export_specs.foundation.errors import UserError
from export_specs.schema import NormRecipe
from pipeline.layers.attention import float as sequence_layers
from pipeline.layers.attention.quantized import AttentionHeads, PositionTable
from pipeline.layers.branch_ends.quantized import ByteConvolution, ByteUpsampling, ReconstructingUpsampling, SplitConvolution
from pipeline.layers.chunks import float as float_chunks
from pipeline.layers.chunks import quantized as chunks
from pipeline.layers.convolution import float as convolutions
from pipeline.layers.convolution import quantized as planes
from pipeline.layers.decoder.quantized import ByteDecoder, ReconstructingDecoder
from pipeline.layers.elementwise import float as float_layers
from pipeline.layers.elementwise import quantized as layers
from pipeline.layers.encoder import float as filterbanks
from pipeline.layers.encoder.quantized import ByteEncoder, SplitEncoder
from pipeline.layers.lstm.quantized import BiLstm
from pipeline.layers.norms.channel_norm import NormCln
from pipeline.layers.norms.int16_elementwise import NormB14
from pipeline.layers.norms.quantized import QuantizedNorm
from pipeline.layers.norms.runtime_filter import NormC23
from pipeline.layers.norms.scalar_gain import NormC25
from pipeline.layers.norms.sequences_norm import NormSequences
from pipeline.layers.tables import float as tables
from pipeline.networks.convtasnet.model import ConvTasNet
from pipeline.quantization.fold_affine import fold_affine
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from pipeline.quantization.plain_layers import to_plain_layers

Variant = Literal["fqss", "vanilla"]
LAYER_MODULES = tuple(module.__name__ for module in (float_layers, sequence_layers, float_chunks, filterbanks, convolutions, tables))


@dataclass(frozen=True)
class Recipe:
    """``fqss``: splitter and reconstructor; ``vanilla``: 8-bit input and output. ``norm``: the target's integer gLN; cLN has one form."""

    variant: Variant
    norm: NormRecipe


class LayerTracer(fx.Tracer):
    """Traces a network down to the layers of ``LAYER_MODULES`` or their twins."""

    def is_leaf_module(self, module: nn.Module, _: str) -> bool:
        return isinstance(module, layers.QuantizedLayer) or type(module).__module__ in LAYER_MODULES


def trace(network: nn.Module) -> fx.Graph:
    """The network as a graph of layer calls, in order; of one that has parts which stay float, what its ``integer_part`` names."""
    tracer = LayerTracer()
    tracer.traced_func_name = getattr(network, "integer_part", "forward")
    return tracer.trace(network)


def quantize(network: nn.Module, recipe: Recipe) -> nn.Module:
    """The quantized twin of a float network (which is left alone), with ranges still to be observed."""
    twin = copy.deepcopy(network)
    to_plain_layers(twin)
    without_affine = float_layers.GlobalLayerNorm if recipe.norm == "c25" else float_layers.ChannelLayerNorm  # a subclass of the former
    if fold_affine(twin, trace(twin), without_affine) and isinstance(twin, ConvTasNet):
        twin.gather_biases()
    encoder, decoder = (SplitEncoder, ReconstructingDecoder) if recipe.variant == "fqss" else (ByteEncoder, ByteDecoder)
    first, last = (SplitConvolution, ReconstructingUpsampling) if recipe.variant == "fqss" else (ByteConvolution, ByteUpsampling)
    kinds: dict[type[nn.Module], Any] = {
        float_layers.Encoder: encoder,
        filterbanks.RectifiedEncoder: encoder,
        float_layers.Decoder: decoder,
        filterbanks.FrameDecoder: decoder,
        float_layers.GlobalLayerNorm: {"c23": NormC23, "c25": NormC25, "b14": NormB14}[recipe.norm],
        float_layers.ChannelLayerNorm: NormCln,
        float_layers.Pointwise: layers.Pointwise,
        float_layers.Depthwise: layers.Depthwise,
        float_layers.Prelu: layers.Prelu,
        float_layers.Add: layers.Add,
        float_layers.Multiply: layers.Multiply,
        float_layers.SelectSource: layers.SelectSource,
        float_layers.StackSources: layers.StackSources,
        float_chunks.SplitChunks: chunks.SplitChunks,
        float_chunks.TransposeChunks: chunks.TransposeChunks,
        float_chunks.MergeChunks: chunks.MergeChunks,
        sequence_layers.AttentionHeads: AttentionHeads,
        sequence_layers.BiLstm: BiLstm,
        sequence_layers.PositionTable: PositionTable,
        sequence_layers.CrossHeads: planes.CrossHeads,
        float_layers.SequencesNorm: NormSequences,
        float_layers.Activation: planes.Activation,
        float_layers.GateProduct: planes.GateProduct,
        convolutions.FirstTimeConv: first,
        convolutions.FirstSpectrumConv: first,
        convolutions.TimeConv: planes.Convolution,
        convolutions.SpectrumConv: planes.Convolution,
        convolutions.TimeUpsampling: planes.Upsampling,
        convolutions.SpectrumUpsampling: planes.Upsampling,
        convolutions.LastTimeUpsampling: last,
        convolutions.LastSpectrumUpsampling: last,
        convolutions.PadToStride: planes.PadToStride,
        convolutions.Crop: planes.Crop,
        convolutions.JoinBins: planes.JoinBins,
        convolutions.SplitBins: planes.SplitBins,
        tables.FrequencyEmbedding: planes.Table,
        tables.BinPositions: planes.Table,
        tables.TimePositions: planes.Table,
        tables.LinePositions: planes.Table,
    }
    for name, module in list(twin.named_modules()):
        if type(module).__module__ not in LAYER_MODULES:
            continue
        if type(module) not in kinds:
            raise UserError(f"layer {name} ({type(module).__name__}) has no integer form yet")
        parent = twin.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], kinds[type(module)](module))
    _connect(twin)
    return twin


def _connect(twin: nn.Module) -> None:
    graph = trace(twin)
    called = [node for node in graph.nodes if node.op == "call_module"]
    for node in called:
        module = twin.get_submodule(str(node.target))
        if isinstance(module, layers.Prelu):  # it quantizes its own input
            producer = twin.get_submodule(str(node.args[0].target))
            assert isinstance(producer, layers.QuantizedLayer)
            producer.output_quantizer = nn.Identity()
    for node in called:
        module = twin.get_submodule(str(node.target))
        assert isinstance(module, layers.QuantizedLayer)
        module.connect([_grid_of(twin, argument) for argument in node.args if argument.op == "call_module"])


def _grid_of(twin: nn.Module, node: fx.Node) -> Any:
    module = twin.get_submodule(str(node.target))
    assert isinstance(module, layers.QuantizedLayer)
    if isinstance(module, layers.Rearrangement) and not module.input_quantizers:  # it pads what enters the network
        return None
    if isinstance(module.output_quantizer, nn.Identity) and not isinstance(module, layers.Rearrangement):
        return None
    return module.grid_quantizer()


def set_observing(twin: nn.Module, observing: bool) -> None:
    """Switch every quantizer between observing its range and quantizing."""
    for module in twin.modules():
        if isinstance(module, ActivationQuantizer | FixedQuantizer):
            module.observing = observing


def range_parameters(twin: nn.Module) -> set[int]:
    """``id`` of every parameter that is the range of a quantizer, of activations or weights."""
    quantizers = [module for module in twin.modules() if isinstance(module, ActivationQuantizer | WeightQuantizer)]
    return {id(parameter) for quantizer in quantizers for parameter in quantizer.parameters()}


def freeze_statistics(twin: nn.Module, frozen: bool) -> None:
    """Stop (or go on with) the observation of norm statistics while training."""
    for module in twin.modules():
        if isinstance(module, QuantizedNorm):
            module.frozen = frozen


def observe(twin: nn.Module, batches: list[Tensor]) -> None:
    """Observe all ranges on mixtures [B, T] or [B, A, T]; weights stay as they are."""
    twin.train()
    set_observing(twin, True)
    with torch.no_grad():
        for batch in batches:
            twin(batch)
    set_observing(twin, False)
