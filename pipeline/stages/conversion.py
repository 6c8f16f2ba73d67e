"""Stage: QDQ ONNX lowered to the int8 TFLite file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.convert.convert import convert


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: onnx. ``settings``: allowed_ops, runtimes. Makes ``model.tflite``."""
    convert(inputs["onnx"] / "model.qdq.onnx", folder / "model.tflite", settings["allowed_ops"] or None, runtimes=settings["runtimes"])
