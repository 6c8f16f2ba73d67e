"""Stage: the quantized network as QDQ ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.atomic import sha256
from export_specs.load import spec_sha256
from export_specs.schema import ModelSpec
from pipeline.export.qdq import export_qdq
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import load_quantized


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: quantized. ``settings``: spec, recipe, target, narrow_ends. Makes ``model.qdq.onnx``."""
    spec = ModelSpec.model_validate(settings["spec"])
    weights = inputs["quantized"] / "quantized.safetensors"
    digests = {"spec_sha256": spec_sha256(spec), "checkpoint_sha256": sha256(weights)}
    network = load_quantized(spec, Recipe(**settings["recipe"]), weights)
    metadata = FileMetadata.of(spec, target=settings["target"], **digests)
    export_qdq(network, metadata, folder / "model.qdq.onnx", settings["narrow_ends"])
