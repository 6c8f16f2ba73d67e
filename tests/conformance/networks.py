"""From a quantized network to the file that ships, for tests of whole networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from export_specs.file_metadata import FileMetadata
from export_specs.load import load_target
from export_specs.schema import ModelSpec, TargetSpec
from pipeline.convert.convert import ConversionSummary, convert
from pipeline.export.qdq import export_qdq
from validation.gate import GateSettings
from validation.gates.allowed_ops import AllowedOps
from validation.gates.int16_ends import Int16Ends
from validation.gates.no_custom_ops import NoCustomOps
from validation.gates.no_floats import NoFloats
from validation.gates.transposes import Transposed, Transposes
from validation.structure import Structure

TARGET = load_target("tflite-int8")


def deployed(twin: nn.Module, spec: ModelSpec, folder: Path, target: TargetSpec = TARGET) -> ConversionSummary:
    """``model.qdq.onnx`` and ``model.tflite`` of a network in ``folder``."""
    export_qdq(twin, FileMetadata.of(spec), folder / "model.qdq.onnx", "narrow-ends" in target.rewrites)
    return convert(folder / "model.qdq.onnx", folder / "model.tflite", target.allowed_ops)


def audited(found: Structure, transposes: Mapping[str, str]) -> dict[str, str]:
    """What the judge's gates say of the audit of a file, by gate; ``transposes`` are those that the target allows."""
    gates = (NoFloats(), NoCustomOps(), AllowedOps(), Int16Ends())
    results = [result for gate in gates for result in gate.judge(found, GateSettings(), "full")]
    results += Transposes().judge(Transposed(found, transposes), GateSettings(), "full")
    return {result.id: result.state for result in results}
