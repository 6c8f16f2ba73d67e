"""Stage: the float network as plain ONNX, the reference of the parity ladder and onnx2tf's input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.schema import ModelSpec
from pipeline.export.float_onnx import export_float


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: teacher. ``settings``: spec. Makes ``float.onnx``."""
    export_float(ModelSpec.model_validate(settings["spec"]), inputs["teacher"] / "float.safetensors", folder / "float.onnx")
