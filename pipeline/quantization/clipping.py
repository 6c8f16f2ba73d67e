"""Ranges by least squared error, where training starts: what is lost by clipping against what a finer step gains.

The extremes of a tensor can lie 40 dB above its mean: then a range that holds them spends most codes on values that hardly occur. The
other end may be the commonest value: a norm behind a rectifier gives most units the same one. So each end has a share of its own.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from export_specs.foundation.progress import tracked
from pipeline.quantization.grid import QMAX, QMIN, ActivationQuantizer, SymmetricQuantizer
from pipeline.quantization.quantize import set_observing

SHARES = torch.arange(44, 5, -1) / 40  # 1.1 to 0.15: an observed end is an average, which some mixtures go beyond
BINS = 2048
MARGIN = 1.25  # of the histogram beyond the observed range; what is farther out is counted at its end


def fit_ranges(twin: nn.Module, batches: list[Tensor]) -> dict[str, tuple[float, float]]:
    """Move both ends of each observed range to the shares of them with the least squared error on mixtures [B, T].

    The error is that of the values beyond the ends, and for each value a twelfth of the step's square, or its own square if that is less:
    zeros have none. What rounding makes of another value that is common differs from mixture to mixture. Call it after
    :func:`pipeline.quantization.quantize.observe`.

    Returns:
        The shares of minimum and maximum of each quantizer, by name.
    """
    quantizers = {name: module for name, module in twin.named_modules() if isinstance(module, ActivationQuantizer)}
    ranges = {name: (float(module.minimum.detach()), float(module.maximum.detach())) for name, module in quantizers.items()}
    counts = {name: torch.zeros(BINS) for name in quantizers}

    def count(name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
        low, high = (MARGIN * end for end in ranges[name])
        if high > low:
            counts[name] += torch.histc(inputs[0].detach().clamp(low, high), BINS, low, high)

    hooks = [module.register_forward_pre_hook(partial(count, name)) for name, module in quantizers.items()]
    training = twin.training
    set_observing(twin.eval(), True)
    with torch.no_grad():
        for batch in tracked(batches, "ranges are fitted, batch"):
            twin(batch)
        shares = {name: _least_error(counts[name], *ranges[name], isinstance(quantizers[name], SymmetricQuantizer)) for name in quantizers}
        for name, module in quantizers.items():
            for end, observed, share in zip((module.minimum, module.maximum), ranges[name], shares[name], strict=True):
                end.fill_(observed * share)
    set_observing(twin.train(training), False)
    for hook in hooks:
        hook.remove()
    return shares


def _least_error(counts: Tensor, low: float, high: float, together: bool) -> tuple[float, float]:
    """The shares of both ends of a range whose values are so many in each bin; ``together``: the same one."""
    if not counts.any():  # nothing ran through
        return 1.0, 1.0
    width = MARGIN * (high - low) / BINS
    values = MARGIN * low + width * (torch.arange(BINS) + 0.5)
    clipped = [counts @ (sign * (values[:, None] - end * SHARES)).clamp(min=0).square() for sign, end in ((-1, low), (1, high))]
    steps = (high * SHARES - low * SHARES[:, None]) / (QMAX - QMIN)  # [of the minimum, of the maximum]
    rounded = torch.minimum(values.square(), steps.square().flatten()[:, None] / 12) @ counts
    error = clipped[0][:, None] + clipped[1] + rounded.view(steps.shape)
    if together:
        error = torch.where(torch.eye(len(SHARES), dtype=torch.bool), error, torch.inf)
    first, second = divmod(int(error.argmin()), len(SHARES))
    return float(SHARES[first]), float(SHARES[second])
