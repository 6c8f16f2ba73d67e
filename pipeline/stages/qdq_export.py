"""Stage: the quantized network as QDQ ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.atomic import sha256
from export_specs.load import spec_sha256
from export_specs.schema import ModelSpec
from pipeline.export.qdq import export_qdq
from pipeline.quantization.quantize import Recipe
from pipeline.training.qat import load_quantized


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: quantized. ``settings``: spec, recipe, target. Makes ``model.qdq.onnx``."""
    spec = ModelSpec.model_validate(settings["spec"])
    weights = inputs["quantized"] / "quantized.safetensors"
    metadata = {
        "model": spec.name,
        "sample_rate": str(spec.sample_rate),
        "segment_samples": str(spec.segment_samples),
        "sources": str(spec.n_src),
        "kernel_size": str(spec.network.kernel_size),
        "target": settings["target"],
        "spec_sha256": spec_sha256(spec),
        "checkpoint_sha256": sha256(weights),
    }
    if spec.source_names:
        metadata["source_names"] = ",".join(spec.source_names)
    network = load_quantized(spec, Recipe(**settings["recipe"]), weights)
    export_qdq(network, spec.segment_samples, metadata, folder / "model.qdq.onnx")
