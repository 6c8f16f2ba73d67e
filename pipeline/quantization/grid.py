"""The one quantization grid: what the fake quantizers train is what the ONNX and TFLite files hold.

Activations: int8, per tensor, asymmetric, integer zero_point, 0 always on the grid. Weights: int8, per output channel,
symmetric, codes -127...127. Ranges are observed first and then learned with the straight-through gradients of the FQSS
paper (its section II; LSQ+). Scales of activations have a 12-bit mantissa, so that products of them are exact in float32
and LiteRT and TFLM, which multiply scales in different precision, agree to the bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.compiler import compiler_available

QMIN, QMAX = -128, 127
WEIGHT_QMAX = 127
OBSERVED_BATCHES = 50
EMA = 0.9


def round_mantissa(scale: Tensor) -> Tensor:
    """The nearest float with a 12-bit mantissa."""
    mantissa, exponent = torch.frexp(scale)
    return torch.ldexp(torch.round(mantissa * 4096) / 4096, exponent)


def agreed_factor(scale: Tensor, other: Tensor, output: Tensor) -> Tensor:
    """A scale a trifle above ``scale`` with which a product's multiplier, other * scale / output, is the same in every runtime.

    LiteRT forms it in float32 and TFLM in double, before both round it to 31 bits. Where codes can be any two, some product is so near a
    tie that this decides; about one float in 128 agrees. A multiplier that is a simple fraction has many ties: the first 32 floats are
    left out, so that float32 arithmetic is on one side of them. The scale grows by 2^-19 to 2^-10 of itself, mostly 2^-16. Scalars.
    """
    candidates = _floats_above(scale)
    return candidates[_first_agreed(other * candidates / output, other.double() * candidates.double() / output.double())]


def agreed_output(scale: Tensor, other: Tensor, output: Tensor) -> Tensor:
    """A scale a trifle above ``output`` with which scale * other / output is the same in every runtime, as in :func:`agreed_factor`.

    scale * other must be exact in float32, as it is where one of them is a power of two or both have 12-bit mantissas.
    """
    candidates = _floats_above(output)
    return candidates[_first_agreed(scale * other / candidates, scale.double() * other.double() / candidates.double())]


def _floats_above(scale: Tensor) -> Tensor:
    return (scale.view(torch.int32) + torch.arange(2**5, 2**13, dtype=torch.int32, device=scale.device)).view(torch.float32)


def _first_agreed(single_precision: Tensor, double_precision: Tensor) -> Tensor:
    """The index of the first multiplier that is the same 31 bits in both."""
    multipliers = single_precision.double(), double_precision
    (single, exponent), (double, same_exponent) = (torch.frexp(multiplier) for multiplier in multipliers)
    agreed = (torch.round(single * 2**31) == torch.round(double * 2**31)) & (exponent == same_exponent)
    return agreed.int().argmax()


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradient_of: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, gradients[0]


def straight_through(value: Tensor, gradient_of: Tensor) -> Tensor:
    """``value`` to the bit in the forward pass, the gradient of ``gradient_of``, of the same shape, in the backward pass."""
    result: Tensor = _StraightThrough.apply(value.detach(), gradient_of)
    return result


def _quantize_kernel(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    return (x / scale).round_().add_(zero_point).clamp_(QMIN, QMAX).sub_(zero_point).mul_(scale)


def _gradient_kernel(gradient: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    ratio = x / scale
    code = ratio.round().add_(zero_point)
    below, above = code < QMIN, code > QMAX
    inside = gradient.masked_fill(below | above, 0.0)
    step = (inside * code.sub_(zero_point).sub_(ratio)).sum() / (QMAX - QMIN)
    return inside, (gradient * below).sum() - step, (gradient * above).sum() + step


if compiler_available():  # fused into one pass each, for vectors of any length; without a compiler op by op
    _quantize_kernel = torch.compile(_quantize_kernel, dynamic=True)
    _gradient_kernel = torch.compile(_gradient_kernel, dynamic=True)


def flat(x: Tensor) -> Tensor:
    """All values as a vector of its own: of a view the compiler guards what it is a view of, and compiles anew for each rank."""
    values: Tensor = torch.empty(0, dtype=x.dtype).set_(x.detach().reshape(-1))  # type: ignore[call-overload]
    return values


class _FakeQuantize(torch.autograd.Function):
    """x -> scale * (clip(round(x / scale) + zero_point) - zero_point), with gradients for x and for the ends of the range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, minimum: Tensor, maximum: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point)
        return _quantize_kernel(flat(x), scale, zero_point).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, scale, zero_point = ctx.saved_tensors
        inside, to_minimum, to_maximum = _gradient_kernel(flat(gradients[0]), flat(x), scale, zero_point)
        return inside.view(x.shape), to_minimum, to_maximum, None, None


class ActivationQuantizer(nn.Module):
    """int8 per-tensor quantizer with a learned range.

    While ``observing`` it passes its input on and moves its range by an exponential average of the batches' extremes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.minimum, self.maximum = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.observing = False

    def observe(self, x: Tensor) -> None:
        """Move the range towards the extremes of a batch; the first batch sets it."""
        with torch.no_grad():
            least, greatest = torch.aminmax(x)
            low, high = least.clamp(max=0), greatest.clamp(min=0)
            first = bool(self.minimum == self.maximum)
            self.minimum.copy_(low if first else EMA * self.minimum + (1 - EMA) * low)
            self.maximum.copy_(high if first else EMA * self.maximum + (1 - EMA) * high)

    def grid(self) -> tuple[Tensor, Tensor]:
        """(scale, zero_point) as they are shipped, without gradient; float32 scalars."""
        with torch.no_grad():
            low, high = self.minimum.clamp(max=0), self.maximum.clamp(min=0)
            scale = round_mantissa(((high - low) / (QMAX - QMIN)).clamp(min=1e-7))
            return scale, torch.round(QMIN - low / scale).clamp(QMIN, QMAX)

    def forward(self, x: Tensor) -> Tensor:
        if self.observing:
            self.observe(x)
            return x
        quantized: Tensor = _FakeQuantize.apply(x, *self.ends(), *self.grid())
        return quantized

    def ends(self) -> tuple[Tensor, Tensor]:
        """(minimum, maximum) of the range with 0 in it, with gradient."""
        return self.minimum.clamp(max=0), self.maximum.clamp(min=0)


class ProductQuantizer(ActivationQuantizer):
    """The output grid of a product of two activations: of a scale with which every runtime computes the product alike."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[ActivationQuantizer | FixedQuantizer] = []

    def grid(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            left, right = (factor.grid()[0] for factor in self.factors)
            scale = agreed_output(left, right, super().grid()[0])
            return scale, torch.round(QMIN - self.minimum.clamp(max=0) / scale).clamp(QMIN, QMAX)


class SymmetricQuantizer(ActivationQuantizer):
    """int8 per-tensor quantizer with a learned range about 0: zero_point 0, codes -127...127 within the range."""

    def grid(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            scale = round_mantissa((self._end() / QMAX).clamp(min=1e-7))
            return scale, torch.zeros_like(scale)

    def ends(self) -> tuple[Tensor, Tensor]:
        return -self._end(), self._end()

    def _end(self) -> Tensor:
        """The range's end farther from 0."""
        return torch.maximum(self.maximum, -self.minimum)


class RectifiedQuantizer(ActivationQuantizer):
    """int8 per-tensor quantizer with a learned range from 0: zero_point -128, so that what is below 0 saturates there."""

    def __init__(self) -> None:
        super().__init__()
        self.minimum.requires_grad_(False)

    def grid(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            scale = round_mantissa((self.maximum / (QMAX - QMIN)).clamp(min=1e-7))
            return scale, torch.full_like(scale, QMIN)


class FixedQuantizer(nn.Module):
    """int8 quantizer whose scale is given (a power of two) and whose zero_point is 0."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.observing = False
        self.scale = scale

    def grid(self) -> tuple[Tensor, Tensor]:
        """(scale, zero_point)."""
        return torch.tensor(self.scale), torch.tensor(0.0)

    def forward(self, x: Tensor) -> Tensor:
        clipped = x.clamp(QMIN * self.scale, QMAX * self.scale)
        return x if self.observing else straight_through(torch.round(clipped / self.scale) * self.scale, clipped)


class CorrectionQuantizer(FixedQuantizer):
    """int8 quantizer of what another with zero_point 0 rounds away: 256 of its steps are one of the other."""

    def __init__(self, coarse: SymmetricQuantizer | FixedQuantizer) -> None:
        super().__init__(0.0)
        self.coarse = [coarse]  # in a list: no part of this module

    def grid(self) -> tuple[Tensor, Tensor]:
        scale, zero_point = self.coarse[0].grid()
        return scale / 256, zero_point

    def forward(self, x: Tensor) -> Tensor:
        scale = self.grid()[0]
        clipped = x.clamp(QMIN * scale, QMAX * scale)
        return x if self.observing else straight_through(torch.round(clipped / scale) * scale, clipped)


class WeightQuantizer(nn.Module):
    """int8 per-channel symmetric quantizer of a weight whose channel axis is 0; scale = range / 127, range learned.

    ``gain`` [C] multiplies the channels after they are quantized, which is a part of their scale as shipped. It is not learned: with it
    weight and range are trained at the size that they have without it.
    """

    gain: Tensor | None

    def __init__(self, weight: Tensor, gain: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("gain", gain)
        self.range = nn.Parameter(weight.detach().abs().flatten(1).amax(1).clamp(min=1e-6))

    def scale(self) -> Tensor:
        """Scale of each channel [C], as shipped."""
        return self.amplified(self._step().detach())

    def amplified(self, values: Tensor) -> Tensor:
        """Values [C, …] by channel with the gain."""
        return values if self.gain is None else values * self.gain.view(-1, *[1] * (values.dim() - 1))

    def _step(self) -> Tensor:
        return self.range.abs().clamp(min=1e-8) / WEIGHT_QMAX

    def codes(self, weight: Tensor) -> Tensor:
        """int8 codes of ``weight``, as shipped."""
        scale = self._step().detach().view(-1, *[1] * (weight.dim() - 1))
        return torch.round(weight.detach() / scale).clamp(-WEIGHT_QMAX, WEIGHT_QMAX).to(torch.int8)

    def forward(self, weight: Tensor) -> Tensor:
        shape = (-1, *[1] * (weight.dim() - 1))
        scale = self._step().view(shape)
        ratio = (weight / scale).clamp(-WEIGHT_QMAX, WEIGHT_QMAX)
        return self.amplified(straight_through(torch.round(ratio), ratio) * scale)


class WholeStepsQuantizer(WeightQuantizer):
    """As its base, of a scale a trifle above range / 127, such that a whole number of products' steps make one step of ``output``.

    A product of codes of ``source`` and of a weight is worth the product of their scales, which is the step of a sum. The sum can then take
    codes of ``output`` in too, with :meth:`steps` as their weight.
    """

    MOST_STEPS = 32 * WEIGHT_QMAX  # what 32 int8 weights hold; trained networks need 3 to 8 of them, very soft outputs more

    def __init__(self, weight: Tensor, output: SymmetricQuantizer | FixedQuantizer) -> None:
        super().__init__(weight)
        self.output = [output]  # in lists: no parts of this module
        self.source: list[ActivationQuantizer | FixedQuantizer] = []

    def steps(self) -> Tensor:
        """Accumulator steps of each channel [C] that make one step of ``output``."""
        with torch.no_grad():
            return torch.floor(self._unit() / super()._step()).clamp(1, self.MOST_STEPS)

    def _unit(self) -> Tensor:
        """The weight scale with which one product's step would be one step of ``output``."""
        return self.output[0].grid()[0] / self.source[0].grid()[0]

    def _step(self) -> Tensor:
        with torch.no_grad():
            step = self._unit() / self.steps()
        return straight_through(step, super()._step())
