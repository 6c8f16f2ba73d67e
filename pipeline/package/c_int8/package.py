"""The package: everything that a firmware team compiles, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.package.c_int8.c_source import ModelSource, identifier
from pipeline.package.c_int8.flatbuffer_reader import Model, read_tflite
from pipeline.package.c_int8.golden import Clip, golden_h, golden_of
from pipeline.package.c_int8.layout import Layout, lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS

ROOM = Path(__file__).parent
KERNELS = ROOM / "kernels"
TEMPLATES = ROOM / "templates"


def write_c_package(file: Path, clips: Sequence[Clip], out: Path) -> Layout:
    """Write the package of a TFLite file into the folder ``out``, which must not exist.

    Args:
        file: fully integer; its metadata name the model.
        clips: input tensors (int16) of at least one run.

    Raises:
        UserError: the file holds a float tensor or an operator that there is no kernel for.
    """
    model = read_tflite(file)
    facts = model.metadata
    name = facts.model if facts else file.stem
    prefix = identifier(name)
    layout = lay_out(lower_model(model, OPS))
    source = ModelSource(layout, prefix, f"Made from {file.name} of the model {name}.")
    golden = golden_of(file, layout, clips)
    description = _description(model, layout)
    out.mkdir(parents=True)
    shutil.copytree(KERNELS, out / "kernels")
    files = {
        "model.h": source.model_h(description),
        "model.c": source.model_c(),
        "weights.h": source.weights_h(),
        "weights.c": source.weights_c(),
        "golden.h": golden_h(golden, layout, prefix),
    }
    samples = facts.segment_samples if facts else layout.inputs[0][0].shape[-1]
    values = {
        "NAME": name,
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "DESCRIPTION": description,
        "INPUT_VALUES": ", ".join(str(tensor.size) for tensor, _ in layout.inputs),
        "RATE": str(facts.sample_rate if facts else 1),
        "SAMPLES": str(samples),
        "CLIPS": str(len(clips)),
        "ARENA": f"{layout.arena_bytes:,}",
        "BOUND": f"{layout.bound:,}",
        "WEIGHTS": f"{source.constant_bytes:,}",
    }
    for template in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        files[str(template.relative_to(TEMPLATES))] = _filled(template.read_text(), values)
    for path, text in files.items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_text(text)
    return layout


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _description(model: Model, layout: Layout) -> str:
    facts = model.metadata
    tensors = [
        f"{side}: {tensor.name}, {tensor.dtype.name} {list(tensor.shape)}."
        for side, items in (("Input", layout.inputs), ("Output", layout.outputs))
        for tensor, _ in items
    ]
    rate = f"Sample rate {facts.sample_rate} Hz, segments of {facts.segment_samples} samples." if facts else ""
    sources = f"Sources: {', '.join(facts.source_names)}." if facts and facts.source_names else ""
    return "\n".join(line for line in [*tensors, rate, sources] if line)
