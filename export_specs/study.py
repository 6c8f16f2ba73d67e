"""Studies: grids of networks that differ in one thing each, at equal budget, judged on the same mixtures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from export_specs.method import METHODS, Method, Variant
from export_specs.strict import Strict


class Arm(Strict):
    """One network of a study, beside the float network, which is in every study.

    ``network`` quantized: by a method, and trained for the study's steps (0: calibrated alone). further-float: the float network trained
    for as many further steps, on the same examples. shipped: the quantized weights that ship.
    """

    network: Literal["quantized", "further-float", "shipped"] = "quantized"
    variant: Variant = Field(default="fqss", description="the named point of the method that the arm begins with")
    method: dict[str, Any] = Field(default={}, description="settings of the method that differ from it")

    @model_validator(mode="after")
    def _check(self) -> Arm:
        if self.method and self.network != "quantized":
            raise ValueError(f"an arm of network: {self.network} has no method of its own")
        self.whole_method()
        return self

    def whole_method(self) -> Method:
        """The method with what the arm leaves as it is."""
        return Method.model_validate({**METHODS[self.variant].model_dump(), **self.method})


class Study(Strict):
    """What is compared and how much of it; ``kind`` says which figure comes of it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    description: str = Field(description="what is asked, for the study's page")
    kind: Literal["arms", "bound", "snr-histogram", "table"] = "arms"
    model: str = Field(default="convtasnet", description="where none is given")
    steps: int = Field(default=0, ge=0, description="of training, each of as many examples as in the model's profile full")
    seeds: int = Field(default=1, gt=0, description="runs of each arm that is trained or calibrated, each on other examples")
    mixtures: int = Field(default=60, gt=0, description="of the set test; the sweep has as many, a third at each SNR")
    against: str = Field(default="", description="the arm that others are compared with; the float network where none is named")
    arms: dict[str, Arm] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> Study:
        if self.against and self.against not in self.arms:
            raise ValueError(f"against: there is no arm '{self.against}'; there are {', '.join(self.arms)}")
        if bool(self.arms) == (self.kind == "snr-histogram"):
            raise ValueError(f"a study of kind {self.kind} has {'no' if self.arms else 'some'} arms")
        if not self.steps and any(arm.network == "further-float" for arm in self.arms.values()):
            raise ValueError("an arm of network: further-float needs steps: the float network trained for none is the float network")
        return self
