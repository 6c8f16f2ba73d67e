"""Stage: the quantized weights that ship with the product, trained with PROFILE=full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.atomic import write_bytes


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: weights. Makes ``quantized.safetensors``."""
    write_bytes(folder / "quantized.safetensors", inputs["weights"].read_bytes())
