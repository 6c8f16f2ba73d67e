"""The part of a package that streams: the network step by step, what keeps the level, and golden steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.c_source import Constants, ProgramSource
from pipeline.package.c_int8.delay_lines import delay_lines
from pipeline.package.c_int8.flatbuffer_reader import Array, read_tflite
from pipeline.package.c_int8.golden_stream import golden_stream, golden_stream_h
from pipeline.package.c_int8.layout import Layout, lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from pipeline.package.c_int8.stream_source import stream_c, stream_h
from pipeline.package.template import filled

TEMPLATES = Path(__file__).parent / "stream_templates"


@dataclass(frozen=True)
class StreamPackage:
    """The files by their names, and what a README says of them. ``name``: of the struct."""

    files: dict[str, str]
    readme: str
    layout: Layout
    name: str

    def memory(self) -> str:
        """The row of the table of memory."""
        kept = sum(tensor.nbytes for tensor, _ in self.layout.kept)
        return f"| `struct {self.name}`, RAM | {self.layout.arena_bytes:,}, of which {kept:,} hold from step to step |\n"


def stream_package(file: Path, pcm: Array, prefix: str, constants: Constants) -> StreamPackage:
    """The files of a streaming TFLite file, whose constants join those of the package.

    Args:
        pcm: int16 [n], a golden clip.
        prefix: of the package's symbols.

    Raises:
        UserError: the file does not stream.
    """
    model = read_tflite(file)
    facts = model.metadata
    if facts is None or facts.streaming is None:
        raise UserError(f"{file} does not say how it streams: give a model.stream.tflite that this product has exported")
    lines = delay_lines(model.graphs[0], facts.streaming.states)
    layout = lay_out(lower_model(model, OPS, lines))
    name, origin = f"{prefix}_stream", f"Made from {file.name} of the model {facts.model}."
    golden = golden_stream(file, model.graphs[0], lines, facts.segment_samples, pcm)
    files = {
        "model_stream.h": stream_h(layout, name, origin, facts),
        "model_stream.c": stream_c(ProgramSource(layout, constants), layout, lines, name, origin),
        "golden_stream.h": golden_stream_h(golden, lines, name),
    }
    hop, latency = facts.segment_samples, facts.streaming.latency_samples
    values = {
        "PREFIX": name,
        "UPPER": name.upper(),
        "HOP": str(hop),
        "SOURCES": str(facts.sources),
        "HOP_MS": f"{1000 * hop / facts.sample_rate:g}",
        "LATENCY": str(latency),
        "LATENCY_MS": f"{1000 * latency / facts.sample_rate:g}",
    }
    texts = filled(TEMPLATES, values)
    readme = texts.pop("streams.md")
    return StreamPackage(files | texts, readme, layout, name)
