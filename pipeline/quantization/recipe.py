"""How a network is quantized."""

from __future__ import annotations

from typing import Any

from pydantic.dataclasses import dataclass

from export_specs.method import METHODS, Method, Variant


@dataclass(frozen=True)
class Recipe:
    """``variant``: a named point of the method, ``fqss`` or ``vanilla``. ``norm``: the target's integer gLN
    (``pipeline/layers/global_norm/recipes``); cLN has one form. ``changed``: another point than the named one.
    """

    variant: Variant
    norm: str
    changed: Method | None = None

    @property
    def method(self) -> Method:
        """What it asks for."""
        return self.changed or METHODS[self.variant]

    def settings(self) -> dict[str, Any]:
        """As JSON; ``Recipe(**settings)`` is the recipe again."""
        named = {"variant": self.variant, "norm": self.norm}
        return named if self.method == METHODS[self.variant] else {**named, "changed": self.method.model_dump(mode="json")}
