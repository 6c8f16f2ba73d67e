"""Stage: the graph of a whole segment as the graph of one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from export_specs.foundation.atomic import atomic_path
from pipeline.export.streaming.rewrite import to_streaming


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: onnx. ``settings``: hop_frames. Makes ``model.stream.qdq.onnx``."""
    whole = onnx.load(inputs["onnx"] / "model.qdq.onnx")
    with atomic_path(folder / "model.stream.qdq.onnx") as temporary:
        onnx.save(to_streaming(whole, settings["hop_frames"]), temporary)
