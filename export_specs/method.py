"""How a network is quantized and trained for it: each part of the method a setting of its own (docs/adr/0043-method-as-settings.md).

``fqss`` and ``vanilla`` are two named points of this space.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from export_specs.strict import Strict

Variant = Literal["fqss", "vanilla"]
KD_LAMBDA = 0.1
GAMMA_MAX = 10.0


class Method(Strict):
    """One way to quantize and train; the defaults are FQSS.

    ``input`` and ``output`` "16" are simulated in torch alone, as is a network with float weights or activations: for studies.
    """

    input: Literal["split", "byte", "16"] = Field(
        default="split", description="split: 16 bits in three int8 digits; byte: 8 bits; 16: 16 bits"
    )
    output: Literal["rqb", "byte", "16"] = Field(default="rqb", description="rqb: 8 bits and a correction; byte: 8 bits; 16: 16 bits")
    weights: bool = Field(default=True, description="false: they stay float")
    activations: bool = Field(
        default=True, description="false: they stay float, but for the statistics of norms; input and output are settings of their own"
    )
    calibration: Literal["least-error", "min-max"] = Field(default="least-error", description="where the ranges of activations begin")
    ranges: Literal["learned", "frozen"] = Field(
        default="learned", description="frozen: those of weights and activations stay where they begin"
    )
    kd_lambda: float = Field(default=KD_LAMBDA, ge=0, le=1, description="the share of distillation in the loss; 0: no teacher")
    gamma_max: float | None = Field(default=GAMMA_MAX, gt=0, description="the largest weight of an example's distillation; null: no limit")
    weighting: Literal["gamma", "public-code"] = Field(
        default="gamma", description="of distillation; public-code: of speech, ratios weighted by 1/gamma in one logarithm"
    )

    @property
    def simulated_only(self) -> list[str]:
        """The settings that no file can have, as "input: 16"; empty of a method whose result can be exported."""
        fields = {"input": "16", "output": "16", "weights": False, "activations": False}
        return [f"{name}: {str(value).lower()}" for name, value in fields.items() if getattr(self, name) == value]

    def calibrated(self) -> Method:
        """The method without what a training alone reads: such networks are equal where nothing is trained."""
        return Method(**{name: getattr(self, name) for name in ("input", "output", "weights", "activations", "calibration")})


METHODS: dict[Variant, Method] = {"fqss": Method(), "vanilla": Method(input="byte", output="byte", kd_lambda=0.0)}
