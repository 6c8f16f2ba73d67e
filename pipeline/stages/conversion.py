"""Stage: QDQ ONNX lowered to the int8 TFLite file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.convert.convert import convert


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: onnx. ``settings``: source (a file in it), result (the file that this makes), allowed_ops, runtimes, rewrites."""
    source, result = inputs["onnx"] / settings["source"], folder / settings["result"]
    convert(source, result, settings["allowed_ops"] or None, runtimes=settings["runtimes"], rewrites=settings["rewrites"])
