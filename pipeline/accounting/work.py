"""Multiply-accumulates of a float network's layers, by the FQSS paper's convention and by an honest one.

The layers are run on shapes alone (torch's meta device) and counted as they are called. Both conventions count outputs x inputs per output
for convolutions and linear maps. What the paper's numbers hold besides, and what they hold otherwise, is the comment at each rule; BOPs are
MACs x weight bits x activation bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.layers.attention.float import Attention, BiLstm, GroupNorm, LayerNorm, Linear
from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling
from pipeline.layers.elementwise.float import Decoder, Depthwise, Encoder, GlobalLayerNorm, Multiply, Pointwise
from pipeline.layers.encoder.float import FrameDecoder, RectifiedEncoder, TransposedDecoder
from pipeline.networks.convtasnet.model import ConvBlock
from pipeline.networks.htdemucs.cross_transformer import LayerScale
from pipeline.networks.htdemucs.model import HTDemucs


@dataclass(frozen=True)
class Macs:
    """MACs of one input: by the paper's convention and by the honest one."""

    paper: int = 0
    honest: int = 0

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.paper + other.paper, self.honest + other.honest)


@dataclass(frozen=True)
class Work:
    """MACs of the network by kind of layer, and what the splitter and the reconstructor of FQSS add to them."""

    layers: dict[str, Macs]
    fqss_overhead: Macs

    @property
    def total(self) -> Macs:
        """MACs of all layers."""
        return sum(self.layers.values(), Macs())


def count_work(network: nn.Module, run: Callable[[], object]) -> Work:
    """Count a network on the meta device while ``run`` calls it with tensors on the meta device."""
    encoders, decoders = ends(network)
    layers: Counter[str] = Counter()
    honest: Counter[str] = Counter()
    overhead = Macs()

    def called(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal overhead
        macs = layer_macs(layer, inputs, output)
        layers[type(layer).__name__] += macs.paper
        honest[type(layer).__name__] += macs.honest
        if layer in encoders:  # the splitter doubles its input
            overhead += macs
        if layer in decoders:  # the reconstructor encodes its output and decodes the difference
            overhead += macs + _same(inputs[0].numel() * (matrix_values(layer) // inputs[0].shape[-1]))

    with _hooks(network, called), torch.no_grad():
        run()
    return Work({name: Macs(layers[name], honest[name]) for name in layers if layers[name] or honest[name]}, overhead)


def layer_macs(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Macs:
    """MACs of one call of a layer; 0 for layers that neither convention counts (sums, activations, softmax, data movement)."""
    x = inputs[0]
    match layer:
        case Encoder():
            return _same(output.numel() * layer.kernel_size)
        case RectifiedEncoder() | Depthwise():
            return _same(output.numel() * layer.weight[0].numel())
        case TimeConv() | SpectrumConv():  # outputs are counted before a glu halves them
            return _same(output.numel() // output.shape[-1] * layer.weight.numel())
        case TimeUpsampling() | SpectrumUpsampling():
            return _transposed(x, output, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        case Decoder():
            return _transposed(x, output, 1, layer.kernel_size, layer.stride)
        case TransposedDecoder():
            return _transposed(x, output, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        case FrameDecoder() | Linear():
            return _same(x.numel() * layer.out_features)
        case Pointwise():
            macs = x.numel() * layer.out_channels
            # over chunks it is a 2-D convolution without a fused activation, which the paper's counter never counts
            return Macs(0 if x.dim() == 4 else macs, macs)
        case GlobalLayerNorm() | GroupNorm() | LayerNorm():
            return Macs(2 * x.numel(), 0)
        case Multiply() | LayerScale():
            return Macs(output.numel(), 0)
        case Attention():
            return _attention(x, inputs[-1])
        case BiLstm():
            return _recurrence(layer, x)
        case ConvBlock() if layer.last:  # nothing uses its residual convolution, and nothing need compute it; the paper counts it
            return Macs(x.numel() * layer.res_conv.in_channels, 0)
    return Macs()


def _same(macs: int) -> Macs:
    return Macs(macs, macs)


def _transposed(x: Tensor, output: Tensor, channels: int, kernel_size: int, stride: int) -> Macs:
    """The paper's convention takes floor(kernel / stride) taps at each sample of the output, its ends too."""
    in_channels = x.shape[-1]
    return Macs(in_channels * output.numel() * (kernel_size // stride), x.numel() * channels * kernel_size)


def _attention(x: Tensor, memory: Tensor) -> Macs:
    """Projections, logits and weighted sum; the output projection is a layer of its own.

    For attention to something else the paper's counter takes the whole packed projection three times: for queries, keys and values.
    """
    products = 2 * x.numel() * memory.shape[-2]
    single = (x.numel() + 2 * memory.numel()) * x.shape[-1]
    return Macs(products + (single if memory is x else 3 * single), products + single)


def _recurrence(layer: BiLstm, x: Tensor) -> Macs:
    """The paper's counter multiplies the recurrent matrix by the number of hidden units instead of the length of the sequence."""
    length, channels = x.shape[-2:]
    sequences = x.numel() // (length * channels)
    gates, hidden = 4 * layer.hidden_size, layer.hidden_size
    inputs = 2 * sequences * length * gates * channels
    return Macs(inputs + 2 * sequences * hidden * gates * hidden, inputs + 2 * sequences * length * gates * hidden)


def ends(network: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """The layers that FQSS gives a splitter, and those that it gives a reconstructor."""
    if isinstance(network, HTDemucs):
        firsts, lasts = (network.encoder[0], network.tencoder[0]), (network.decoder[-1], network.tdecoder[-1])
        return [layer.get_submodule("conv") for layer in firsts], [layer.get_submodule("conv_tr") for layer in lasts]
    layers = list(network.modules())
    encoders: list[nn.Module] = [layer for layer in layers if isinstance(layer, Encoder | RectifiedEncoder)]
    return encoders, [layer for layer in layers if isinstance(layer, Decoder | FrameDecoder | TransposedDecoder)]


def matrix_values(layer: nn.Module) -> int:
    """Weights of a layer without its bias."""
    return sum(weight.numel() for weight in layer.parameters() if weight.dim() > 1)


@contextmanager
def _hooks(network: nn.Module, called: Any) -> Iterator[None]:
    handles = [layer.register_forward_hook(called) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
