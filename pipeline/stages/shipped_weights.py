"""The weights that ship with the product: which there are for a model, and where."""

from __future__ import annotations

from pathlib import Path

from export_specs.foundation.code_version import ROOT
from export_specs.load import load_model, model_names
from export_specs.method import METHODS
from export_specs.schema import ModelSpec

WEIGHTS = ROOT / "pipeline" / "weights"
FLOAT = "float.safetensors"


def quantized_name(spec: ModelSpec, variant: str, norm: str, plan: str) -> str:
    """What quantized weights are called, without suffix: by what shapes them, the norm recipe only where there are norms that follow it,
    and by the plan that they were trained with."""
    return "-".join(("qat", variant, *([norm] if spec.network.norms_follow_recipe() else []), plan))


def shipped_file(spec: ModelSpec, name: str) -> Path | None:
    """A file of the weights that ship for this model; None where there is none, and for a user's own spec of another network."""
    if spec.name not in model_names() or load_model(spec.name).network != spec.network:
        return None
    path = WEIGHTS / spec.name / name
    return path if path.is_file() else None


def shipped_quantized(spec: ModelSpec, variant: str, norm: str, plan: str = "full") -> Path | None:
    """The quantized weights that ship; None where there are none, and of ``fqss`` for a method of the user's own."""
    if variant == "fqss" and spec.method != METHODS["fqss"]:
        return None
    return shipped_file(spec, f"{quantized_name(spec, variant, norm, plan)}.safetensors")
