"""Bytes of a float network's values on a disk: as float, and as int8 by the FQSS paper's convention and by an honest one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pipeline.accounting.work import ends, matrix_values
from pipeline.layers.attention.float import Attention, BiLstm, Linear
from pipeline.layers.convolution.float import SpectrumConv, SpectrumUpsampling, TimeConv, TimeUpsampling
from pipeline.layers.elementwise.float import Decoder, Depthwise, Encoder, Pointwise
from pipeline.layers.encoder.float import FrameDecoder, RectifiedEncoder, TransposedDecoder

TENSOR_OVERHEAD = 280  # bytes that a torch checkpoint takes for each tensor, beside its values
SCALE_BYTES = 4


@dataclass(frozen=True)
class Size:
    """Bytes. The paper's int8 convention takes 1 byte a value and 4 a channel of weights; the honest one gives biases, norms and slopes
    the 4 bytes that they need. ``fqss_values`` are those of the splitter and the reconstructor."""

    parameters: int
    float_bytes: int
    int8_paper: int
    int8_honest: int
    fqss_values: int


def measure(network: nn.Module) -> Size:
    """The size of a network on any device."""
    state = network.state_dict()
    values = sum(tensor.numel() for tensor in state.values())
    scales = SCALE_BYTES * sum(channels for channels, _ in map(quantized_weights, network.modules()))
    small = sum(weight.numel() for weight in network.parameters()) - sum(count for _, count in map(quantized_weights, network.modules()))
    return Size(
        parameters=sum(weight.numel() for weight in network.parameters()),
        float_bytes=4 * values + TENSOR_OVERHEAD * len(state),
        int8_paper=values + scales,
        int8_honest=values + 3 * small + scales,
        fqss_values=_fqss_values(network),
    )


def quantized_weights(layer: nn.Module) -> tuple[int, int]:
    """Channels with a scale of their own, and int8 values, of a layer alone, without the layers inside it."""
    match layer:
        case Encoder():
            filters = layer.filterbank["_filters"]
            return len(filters), filters.numel()
        case Decoder():  # a transposed convolution has its output channels on the second axis
            filters = layer.filterbank["_filters"]
            return filters.shape[1], filters.numel()
        case TransposedDecoder() | TimeUpsampling() | SpectrumUpsampling():
            return layer.out_channels, layer.weight.numel()
        case RectifiedEncoder() | TimeConv() | SpectrumConv() | Pointwise() | Depthwise() | FrameDecoder() | Linear() | nn.Embedding():
            return len(layer.weight), layer.weight.numel()
        case Attention():
            return len(layer.in_proj_weight), layer.in_proj_weight.numel()
        case BiLstm():
            matrices = [weight for name, weight in layer.named_parameters() if name.startswith("weight")]
            return sum(map(len, matrices)), sum(matrix.numel() for matrix in matrices)
    return 0, 0


def _fqss_values(network: nn.Module) -> int:
    """Values that FQSS adds: the second half of an encoder's input, and the reconstructor's encoder with a decoder's shape, and a bias if
    that has one. The reconstructor's decoder is the network's own, but for SepFormer's and the spectrogram's (reference implementation)."""
    encoders, decoders = ends(network)
    total = sum(map(matrix_values, encoders))
    for decoder in decoders:
        total += matrix_values(decoder)
        if isinstance(decoder, TimeUpsampling | SpectrumUpsampling):
            total += decoder.in_channels
        if isinstance(decoder, TransposedDecoder | SpectrumUpsampling):
            total += sum(weight.numel() for weight in decoder.parameters())
    return total
