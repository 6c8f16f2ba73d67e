"""Quantizers that let their input pass, for measurements and for what a method leaves in float."""

from __future__ import annotations

from torch import nn

from export_specs.method import Method
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer

OF_ACTIVATIONS = (ActivationQuantizer, FixedQuantizer)
QUANTIZERS = (*OF_ACTIVATIONS, WeightQuantizer)


def bypass(module: nn.Module, kinds: tuple[type[nn.Module], ...] = QUANTIZERS) -> None:
    """Its quantizers of these kinds give out what they get, times the gain where a weight has one."""
    for quantizer in _quantizers(module, kinds):
        quantizer.forward = quantizer.amplified if isinstance(quantizer, WeightQuantizer) else lambda x: x


def restore(module: nn.Module) -> None:
    """Its quantizers quantize again."""
    for quantizer in _quantizers(module, QUANTIZERS):
        quantizer.__dict__.pop("forward", None)


def leave_float(twin: nn.Module, method: Method) -> None:
    """Let what the method leaves in float pass its quantizers, after ranges are observed: integer norms and biases stand on them."""
    kinds = (() if method.weights else (WeightQuantizer,)) + (() if method.activations else OF_ACTIVATIONS)
    bypass(twin, kinds)


def _quantizers(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, kinds)]
