"""The table of a streaming file for ``stepper.c``: which outputs it remembers, and which inputs it recalls."""

from __future__ import annotations

from export_specs.file_metadata import FileMetadata
from pipeline.package.c_int8.delay_lines import delay_lines
from pipeline.package.c_int8.flatbuffer_reader import Model


def stream_table_h(model: Model, prefix: str) -> str:
    """``stream_table.h``: the sizes that ``stream.h`` asks for, and a ``struct fq_stepped``.

    Args:
        model: a file that streams.
        prefix: of the symbols.

    Raises:
        UserError: its metadata are of another file.
    """
    facts, graph = model.metadata, model.graphs[0]
    assert isinstance(facts, FileMetadata) and facts.streaming is not None
    lines = delay_lines(graph, facts.streaming.states)
    remembered, recalled, place = [], [], 0
    for number, line in enumerate(lines):
        shape = f"{{{line.length}, {line.initial}, {line.output.dtype.itemsize}}}"
        output = graph.outputs.index(line.output)
        remembered.append(f"    {{{output}, {line.output.nbytes}, {{{place}, {shape}}}}}, /* {line.output.name} */")
        place += line.holds.nbytes
        recalled += [
            f"    {{{graph.inputs.index(tensor)}, {tensor.nbytes}, {ago}, {number}}}, /* {tensor.name} */"
            for tensor, ago in line.ago.items()
        ]
    past, future = {tensor for line in lines for tensor in line.ago}, {line.output for line in lines}
    (pcm,), (separated,) = ([item for item in graph.inputs if item not in past], [item for item in graph.outputs if item not in future])
    upper, rows = prefix.upper(), "\n"
    return f"""/* The streaming network of {facts.model} for stream.h and stepper.h. Numbers are those of the file's inputs and outputs. */
#ifndef {upper}_TABLE_H
#define {upper}_TABLE_H

#include "stepper.h"

#define {upper}_SAMPLE_RATE {facts.sample_rate}
#define {upper}_HOP {facts.segment_samples}
#define {upper}_LATE {facts.streaming.latency_samples - facts.segment_samples}
#define {upper}_SOURCES {facts.sources}
#define {upper}_MEMORY_BYTES {place}

static const struct fq_remembered {prefix}_remembered[] = {{
{rows.join(remembered)}
}};

static const struct fq_recalled {prefix}_recalled[] = {{
{rows.join(recalled)}
}};

static const struct fq_stepped {prefix}_stepped = {{
    {prefix}_remembered, {prefix}_recalled, {len(remembered)}, {len(recalled)},
    {graph.inputs.index(pcm)}, {pcm.nbytes}, {graph.outputs.index(separated)}, {separated.nbytes},
}};

#endif
"""
