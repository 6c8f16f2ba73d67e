"""The base of everything that goes into the parity report: immutable records whose numbers survive JSON unchanged."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


def _refuse_nan(value: float) -> float:
    if math.isnan(value):
        raise ValueError("NaN is no result: the measurement that made it is at fault")
    return value


def _to_json(value: float) -> Any:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


Number = Annotated[
    float,
    AfterValidator(_refuse_nan),
    PlainSerializer(_to_json, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf"]}]}),
]
"""A float that may be infinite (written "inf" or "-inf" in JSON) and is never NaN."""


class Record(BaseModel):
    """Base of the report's records: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
