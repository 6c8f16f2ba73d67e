"""Which int8 operators XNNPACK leaves to LiteRT's own kernels because of their scales: each then costs some fifty times as much.

The limits are XNNPACK's own, measured on models of one operator (LiteRT 2.3.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.convert.builtin_operators import ADD, LEAKY_RELU, MUL, SUB, BuiltinOperator, TensorKind

SMALL = 1024  # values: an operator on fewer costs nothing anywhere


def scale_refused(builtin: BuiltinOperator, inputs: Sequence[TensorKind], output: TensorKind, options: Mapping[str, Any]) -> str | None:
    """What XNNPACK does not take of an operator on an int8 tensor; None where it takes it, or where the tensor is small."""
    if output.dtype != "int8" or output.size < SMALL:
        return None
    ratios = [tensor.scale / output.scale for tensor in inputs]
    if builtin in (ADD, SUB):
        wrong = next((ratio for ratio in ratios if not 2.0**-10 <= ratio < 2.0**8), None)
        return None if wrong is None else f"an input's scale is {wrong:.3g} of the output's, where XNNPACK takes 2^-10 to 2^8"
    if builtin is MUL:
        product = inputs[0].scale * inputs[1].scale / output.scale
        return (
            None
            if 2.0**-16 <= product < 2.0**8
            else f"its scales' product is {product:.3g} of the output's, where XNNPACK takes 2^-16 to 2^8"
        )
    if builtin is LEAKY_RELU:
        slope = ratios[0] * float(options["alpha"])
        taken = 2.0**-8 <= ratios[0] <= 2.0**7 and abs(slope) >= 2.0**-8 and -128 < slope <= 128
        return None if taken else f"its slope in codes is {slope:.3g}, where XNNPACK takes 1/256 to 128"
    return None
