"""Ranges by least squared error, where training starts: what is lost by clipping against what a finer step gains.

The extremes of a tensor can lie 40 dB above its mean: then a range that holds them spends most codes on values that hardly occur.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from export_specs.foundation.progress import tracked
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer
from pipeline.quantization.quantize import set_observing

SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
SUBSAMPLE = 7  # every seventh value of a tensor; odd, so that no channel is left out


def fit_ranges(twin: nn.Module, batches: list[Tensor]) -> dict[str, float]:
    """Narrow each observed range to the share of it with the least squared error on mixtures [B, T].

    Both ends are multiplied by the share. Call it after :func:`pipeline.quantization.quantize.observe`.

    Returns:
        The share of each quantizer, by name.
    """
    quantizers = {name: module for name, module in twin.named_modules() if isinstance(module, ActivationQuantizer)}
    ranges = {name: (float(module.minimum.detach()), float(module.maximum.detach())) for name, module in quantizers.items()}
    errors = {name: torch.zeros(len(SHARES)) for name in quantizers}

    def measure(name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0].detach().flatten()[::SUBSAMPLE].contiguous()
        errors[name] += torch.stack([_squared_error(x, *(end * share for end in ranges[name])) for share in SHARES])

    hooks = [module.register_forward_pre_hook(partial(measure, name)) for name, module in quantizers.items()]
    training = twin.training
    set_observing(twin.eval(), True)
    with torch.no_grad():
        for batch in tracked(batches, "ranges are fitted, batch"):
            twin(batch)
        shares = {name: SHARES[int(error.argmin())] for name, error in errors.items()}
        for name, module in quantizers.items():
            module.minimum.fill_(ranges[name][0] * shares[name])
            module.maximum.fill_(ranges[name][1] * shares[name])
    set_observing(twin.train(training), False)
    for hook in hooks:
        hook.remove()
    return shares


def _squared_error(x: Tensor, low: float, high: float) -> Tensor:
    scale = max((high - low) / (QMAX - QMIN), 1e-7)
    zero_point = round(QMIN - low / scale)
    codes = (x / scale).round_().add_(zero_point).clamp_(QMIN, QMAX)
    return codes.sub_(zero_point).mul_(scale).sub_(x).square_().sum()
