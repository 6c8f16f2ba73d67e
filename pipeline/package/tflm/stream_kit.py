"""The part of the kit that streams: the network of one step, delay lines around an interpreter, and what keeps the level."""

from __future__ import annotations

import shutil
from pathlib import Path

from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.c_source import identifier
from pipeline.package.c_int8.delay_lines import delay_lines
from pipeline.package.c_int8.flatbuffer_reader import Array, read_tflite
from pipeline.package.c_int8.golden_stream import golden_stream, golden_stream_h
from pipeline.package.c_int8.package import KERNELS, STREAM
from pipeline.package.stream.table import stream_table_h
from pipeline.package.template import filled
from pipeline.package.tflm.kit import TEMPLATES, ArenaBytes, model_data_cc, operators_of, resolver_h

STREAM_TEMPLATES = Path(__file__).parent / "stream_templates"
SHARED = ("model_data.h", "arena.h")  # templates of the kit that are the same here


def write_stream_kit(file: Path, pcm: Array, arena: ArenaBytes, out: Path) -> None:
    """Write the kit of a streaming TFLite file into the folder ``out``, which must not exist.

    Args:
        pcm: int16 [n], a golden clip.

    Raises:
        UserError: the file does not stream.
    """
    model = read_tflite(file)
    facts = model.metadata
    if facts is None or facts.streaming is None:
        raise UserError(f"{file} does not say how it streams: give a model.stream.tflite that this product has exported")
    prefix, operators = f"{identifier(facts.model)}_stream", operators_of(model)
    lines = delay_lines(model.graphs[0], facts.streaming.states)
    values = {
        "NAME": facts.model,
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "HOP": str(facts.segment_samples),
        "LATENCY": str(facts.streaming.latency_samples),
        "LATENCY_MS": f"{1000 * facts.streaming.latency_samples / facts.sample_rate:g}",
        "ARENA": str(arena.device),
        "HOST_ARENA": str(arena.host),
        "MEMORY": f"{sum(line.holds.nbytes for line in lines):,}",
        "MODEL": f"{file.stat().st_size:,}",
    }
    shared = {name: text for name, text in filled(TEMPLATES, values).items() if name in SHARED}
    golden = golden_stream(file, model.graphs[0], lines, facts.segment_samples, pcm)
    texts = {
        **shared,
        **filled(STREAM_TEMPLATES, values),
        "resolver.h": resolver_h(operators, prefix),
        "model_data.cc": model_data_cc(file.read_bytes(), prefix),
        "stream_table.h": stream_table_h(model, prefix),
        "golden_stream.h": golden_stream_h(golden, lines, prefix),
    }
    out.mkdir(parents=True)
    for source in (*STREAM.glob("*.[ch]"), *KERNELS.glob("delay_line.*")):
        shutil.copyfile(source, out / source.name)
    for path, text in texts.items():
        (out / path).write_text(text)
