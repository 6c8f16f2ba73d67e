"""Multiply-accumulates of a float network's layers, by the FQSS paper's convention and by an honest one.

The layers are run on shapes alone (torch's meta device) and counted as they are called. Both conventions count outputs x inputs per output
for convolutions and linear maps. What the paper's numbers hold besides, and what they hold otherwise, is the comment at each rule; BOPs are
MACs x weight bits x activation bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.convtasnet import ConvBlock
from pipeline.models.filterbanks import FrameDecoder, RectifiedEncoder, TransposedDecoder
from pipeline.models.layers import Decoder, Depthwise, Encoder, GlobalLayerNorm, Multiply, Pointwise
from pipeline.models.sequence_layers import Attention, BiLstm, GroupNorm, LayerNorm, Linear

ENCODERS = (Encoder, RectifiedEncoder)
DECODERS = (Decoder, FrameDecoder, TransposedDecoder)


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


def count_work(network: nn.Module, waveform: Tensor) -> Work:
    """Count a network on the meta device for a waveform [1, ...] on the meta device."""
    layers: Counter[str] = Counter()
    honest: Counter[str] = Counter()
    overhead = Macs()

    def called(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal overhead
        macs = layer_macs(layer, inputs, output)
        layers[type(layer).__name__] += macs.paper
        honest[type(layer).__name__] += macs.honest
        overhead += _fqss_overhead(layer, inputs, macs)

    with _hooks(network, called), torch.no_grad():
        network.eval()(waveform)
    return Work({name: Macs(layers[name], honest[name]) for name in layers if layers[name] or honest[name]}, overhead)


def layer_macs(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Macs:
    """MACs of one call of a layer; 0 for layers that neither convention counts (sums, activations, softmax, data movement)."""
    x = inputs[0]
    match layer:
        case Encoder():
            return _same(output.numel() * layer.kernel_size)
        case RectifiedEncoder() | Depthwise():
            return _same(output.numel() * layer.weight[0].numel())
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
        case Multiply():
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
    batch, length, channels = x.shape
    products = 2 * batch * length * memory.shape[1] * channels
    single = (x.numel() + 2 * memory.numel()) * channels
    return Macs(products + (single if memory is x else 3 * single), products + single)


def _recurrence(layer: BiLstm, x: Tensor) -> Macs:
    """The paper's counter multiplies the recurrent matrix by the number of hidden units instead of the length of the sequence."""
    sequences, length, channels = x.shape
    gates, hidden = 4 * layer.hidden_size, layer.hidden_size
    inputs = 2 * sequences * length * gates * channels
    return Macs(inputs + 2 * sequences * hidden * gates * hidden, inputs + 2 * sequences * length * gates * hidden)


def _fqss_overhead(layer: nn.Module, inputs: tuple[Tensor, ...], macs: Macs) -> Macs:
    """The splitter doubles an encoder's input; the reconstructor encodes a decoder's output and decodes the difference."""
    if isinstance(layer, ENCODERS):
        return macs
    if isinstance(layer, DECODERS):
        return macs + _same(inputs[0].numel() * (decoder_values(layer) // inputs[0].shape[-1]))
    return Macs()


def decoder_values(decoder: nn.Module) -> int:
    """Weights of a decoder."""
    return sum(weight.numel() for weight in decoder.parameters())


@contextmanager
def _hooks(network: nn.Module, called: Any) -> Iterator[None]:
    handles = [layer.register_forward_hook(called) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
