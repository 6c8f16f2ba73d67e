"""From a quantized network to the file that ships, for tests of whole networks."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from export_specs.load import load_target
from export_specs.schema import ModelSpec
from pipeline.convert.convert import ConversionSummary, convert
from pipeline.export.qdq import export_qdq

TARGET = load_target("tflite-int8")


def deployed(twin: nn.Module, spec: ModelSpec, folder: Path) -> ConversionSummary:
    """``model.qdq.onnx`` and ``model.tflite`` of a network in ``folder``."""
    facts = {"sample_rate": str(spec.sample_rate), "segment_samples": str(spec.segment_samples), "sources": str(spec.n_src)}
    if spec.source_names:
        facts["source_names"] = ",".join(spec.source_names)
    export_qdq(twin, spec.segment_samples, facts, folder / "model.qdq.onnx")
    return convert(folder / "model.qdq.onnx", folder / "model.tflite", TARGET.allowed_ops)
