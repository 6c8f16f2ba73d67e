"""The package: everything that a firmware team compiles, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.c_source import Constants, ProgramSource, identifier
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.golden import Clip, golden_h, golden_of
from pipeline.package.c_int8.layout import Layout, lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.model_source import model_c, model_h
from pipeline.package.c_int8.ops import OPS
from pipeline.package.c_int8.stream_package import stream_package
from pipeline.package.recordings import recordings
from pipeline.package.template import filled

ROOM = Path(__file__).parent
KERNELS = ROOM / "kernels"
TEMPLATES = ROOM / "templates"
SEPARATOR = ROOM.parent / "separator"
STREAM = ROOM.parent / "stream"


def write_c_package(file: Path, clips: Sequence[Clip], out: Path, stream: Path | None = None) -> Layout:
    """Write the package of a TFLite file into the folder ``out``, which must not exist.

    Args:
        file: fully integer; its metadata name the model, its sample rate and its segment.
        clips: input tensors (int16) of at least one run.
        stream: the file of the same network that is run step by step, where there is one; the first clip becomes its golden clip.

    Raises:
        UserError: the file is a foreign one, or holds a float tensor or an operator that there is no kernel for.
    """
    model = read_tflite(file)
    facts = model.metadata
    if facts is None:
        raise UserError(f"{file} does not say what model it is. A C package is made of a file that this product has exported.")
    prefix = identifier(facts.model)
    layout = lay_out(lower_model(model, OPS))
    origin = f"Made from {file.name} of the model {facts.model}."
    constants = Constants(prefix, origin)
    program = ProgramSource(layout, constants)
    streaming = None if stream is None else stream_package(stream, np.asarray(clips[0][0]).reshape(-1), prefix, constants)
    golden = golden_of(file, layout, clips)
    description = _description(facts, layout)
    out.mkdir(parents=True)
    shutil.copytree(KERNELS, out / "kernels")
    for source in (*SEPARATOR.glob("separator.*"), *(STREAM.glob("stream.*") if streaming is not None else ())):
        shutil.copyfile(source, out / source.name)
    files = {
        "model.h": model_h(layout, prefix, origin, description),
        "model.c": model_c(program, layout, prefix, origin),
        **({} if streaming is None else streaming.files),
        "weights.h": constants.weights_h(),
        "weights.c": constants.weights_c(),
        "golden.h": golden_h(golden, layout, prefix),
    }
    values = {
        "NAME": facts.model,
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "DESCRIPTION": description,
        "INPUT_VALUES": ", ".join(str(tensor.size) for tensor, _ in layout.inputs),
        "RATE": str(facts.sample_rate),
        "SAMPLES": str(facts.segment_samples),
        "CLIPS": str(len(clips)),
        "STREAM": "" if streaming is None else streaming.readme,
        "STREAM_MEMORY": "" if streaming is None else streaming.memory(),
        "RECORDINGS": recordings(facts, layout.inputs[0][0].size),
        "ARENA": f"{layout.arena_bytes:,}",
        "BOUND": f"{layout.bound:,}",
        "WEIGHTS": f"{constants.nbytes:,}",
    }
    files |= filled(TEMPLATES, values)
    for path, text in files.items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_text(text)
    return layout


def _description(facts: FileMetadata, layout: Layout) -> str:
    sides = (("Input", layout.inputs), ("Output", layout.outputs))
    lines = [f"{side}: {tensor.name}, {tensor.dtype.name} {list(tensor.shape)}." for side, items in sides for tensor, _ in items]
    lines.append(f"Sample rate {facts.sample_rate} Hz, segments of {facts.segment_samples} samples.")
    if facts.source_names:
        lines.append(f"Sources: {', '.join(facts.source_names)}.")
    return "\n".join(lines)
