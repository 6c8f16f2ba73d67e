"""The base of every spec."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Base of every spec: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
