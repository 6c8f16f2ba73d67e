"""Bytes of a float network's values on a disk: as float, and as int8 by the FQSS paper's convention and by an honest one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pipeline.accounting.work import matrix_values
from pipeline.layers.accounting import HasInt8Weights
from pipeline.layers.ends import InputEnd, OutputEnd

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
    parameters = sum(weight.numel() for weight in network.parameters())
    int8 = [layer.int8_weights() for layer in network.modules() if isinstance(layer, HasInt8Weights)]
    scales = SCALE_BYTES * sum(channels for channels, _ in int8)
    small = parameters - sum(count for _, count in int8)
    return Size(
        parameters=parameters,
        float_bytes=4 * values + TENSOR_OVERHEAD * len(state),
        int8_paper=values + scales,
        int8_honest=values + 3 * small + scales,
        fqss_values=_fqss_values(network),
    )


def _fqss_values(network: nn.Module) -> int:
    """Values that FQSS adds: the second half of an encoder's input, the reconstructor's encoder with a decoder's shape, and what else the
    reconstructor has. Its decoder is the network's own, but for SepFormer's and the spectrogram's (reference implementation)."""
    layers = list(network.modules())
    firsts = sum(matrix_values(layer) for layer in layers if isinstance(layer, InputEnd))
    return firsts + sum(matrix_values(layer) + layer.reconstructor_values() for layer in layers if isinstance(layer, OutputEnd))
