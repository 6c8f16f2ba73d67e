"""Stage before all others: the network with random weights is converted for the target, so that a pair that cannot be is refused at once.

What a network needs of a target depends on its layers, the norm recipe and the length of the segment, and not on its weights. The
converter itself decides, in seconds; no list of pairs is kept.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError
from export_specs.schema import ModelSpec
from pipeline.checkpoints.saving import save_network
from pipeline.convert.convert import convert
from pipeline.convert.errors import ConversionError
from pipeline.convert.onnx2tf_baseline import ConversionRefusedError, convert_with_onnx2tf
from pipeline.export.float_onnx import export_float
from pipeline.export.qdq import build_model
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.networks.build import build_network
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe

LEVEL = 0.1  # of the noise that ranges are observed on, of full scale


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``settings``: spec, recipe, narrow_ends, target (its name), converter, allowed_ops, hop_frames (None: it does not stream).

    Makes ``operators.json``, the number of each in the file.

    Raises:
        UserError: the target cannot take the network, with the converter's reason; onnx2tf is needed and not installed.
    """
    spec = ModelSpec.model_validate(settings["spec"])
    torch.manual_seed(0)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch, torch.compiler.set_stance("force_eager"):
            convert_random = _by_onnx2tf if settings["converter"].startswith("onnx2tf") else _by_us
            operators = convert_random(spec, settings, Path(scratch))
    except (ConversionError, ConversionRefusedError) as error:
        raise UserError(f"the target {settings['target']} cannot take the network of {spec.name}: {error}") from error
    write_text(folder / "operators.json", json.dumps(operators, indent=1, sort_keys=True) + "\n")


def _by_us(spec: ModelSpec, settings: Mapping[str, Any], scratch: Path) -> dict[str, int]:
    twin = quantize(build_network(spec), Recipe(**settings["recipe"]))
    channels = [] if spec.audio_channels == 1 else [spec.audio_channels]
    observe(twin, [LEVEL * torch.randn(1, *channels, spec.segment_samples)])
    model = build_model(twin, FileMetadata.of(spec), settings["narrow_ends"])
    if settings["hop_frames"] is not None:
        _lowered(to_streaming(model, settings["hop_frames"]), settings, scratch)
    return _lowered(model, settings, scratch)


def _lowered(model: onnx.ModelProto, settings: Mapping[str, Any], scratch: Path) -> dict[str, int]:
    if settings["converter"] == "none":
        return dict(Counter(node.op_type for node in model.graph.node))
    onnx.save(model, scratch / "model.onnx")
    return convert(scratch / "model.onnx", scratch / "model.tflite", settings["allowed_ops"] or None).op_counts


def _by_onnx2tf(spec: ModelSpec, settings: Mapping[str, Any], scratch: Path) -> dict[str, int]:
    """Of the float network, also where the target is int8: what onnx2tf refuses, it refuses before it quantizes."""
    save_network(build_network(spec), scratch / "float.safetensors", {})
    export_float(spec, scratch / "float.safetensors", scratch / "float.onnx")
    convert_with_onnx2tf(scratch / "float.onnx", scratch / "model.tflite")
    return {}
