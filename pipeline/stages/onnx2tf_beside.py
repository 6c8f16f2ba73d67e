"""Stage: onnx2tf's post-training int8 file for the report, or that onnx2tf refused the network: either is a fact about the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.atomic import write_text
from pipeline.convert.onnx2tf_baseline import ConversionRefusedError
from pipeline.stages import onnx2tf_conversion

REFUSAL = "refusal.txt"


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """As :mod:`pipeline.stages.onnx2tf_conversion`. Makes ``beside/model.tflite``, or ``beside/refusal.txt`` with onnx2tf's last lines."""
    beside = folder / "beside"
    beside.mkdir()
    try:
        onnx2tf_conversion.run(beside, settings, inputs)
    except ConversionRefusedError as refusal:
        write_text(beside / REFUSAL, f"{refusal}\n")
