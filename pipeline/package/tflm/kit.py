"""The kit: everything that a team with TFLite Micro compiles, in one folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from pipeline.package.c_int8.c_source import c_array, identifier
from pipeline.package.c_int8.flatbuffer_reader import Array, Model, Tensor, read_tflite
from pipeline.package.c_int8.golden import Clip, ReferenceKernels, crc32
from pipeline.package.recordings import recordings
from pipeline.package.template import filled

ROOM = Path(__file__).parent
TEMPLATES = ROOM / "templates"
SEPARATOR = ROOM.parent / "separator"
INNER_TENSORS = 20  # spread over the network
TRIED_COMMIT = "90b983c2b3f1480642e040bbd2ddb37b998f3424"  # of tflite-micro, with which the kit was built and run
TRIED_CMSIS_NN = "4ab83cc3cc98fb85ed6dafb55e8ca02f1628dcae"  # of CMSIS-NN, the one that this commit asks for
ADDED_AS = {"BATCH_MATMUL": "BatchMatMul"}  # whose function of the resolver is spelt otherwise than the operator


@dataclass(frozen=True)
class ArenaBytes:
    """Of TFLM's arena: on this 64-bit computer, and at most on a 32-bit device."""

    host: int
    device: int


@dataclass(frozen=True)
class _Golden:
    """What the clips give: all tensors of ``outputs`` [clip][output], and the CRC32s [clip] of ``inner``, (operator, tensor)."""

    outputs: list[list[Array]]
    inner: dict[tuple[int, Tensor], list[int]]


def write_tflm_kit(file: Path, clips: Sequence[Clip], arena: ArenaBytes, out: Path) -> None:
    """Write the kit of a TFLite file into the folder ``out``, which must not exist.

    Args:
        file: fully integer; its metadata name the model, its sample rate and its segment.
        clips: input tensors (int16) of at least one run.

    Raises:
        UserError: the file is a foreign one, or holds a float tensor.
    """
    model = read_tflite(file)
    facts = model.metadata
    if facts is None:
        raise UserError(f"{file} does not say what model it is. A kit is made of a file that this product has exported.")
    prefix = identifier(facts.model)
    operators = operators_of(model)
    golden = _golden(file, model, clips)
    values = {
        "NAME": facts.model,
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "DESCRIPTION": _description(facts, model),
        "RECORDINGS": recordings(facts, model.graphs[0].inputs[0].size),
        "OPERATORS": str(len(operators)),
        "CLIPS": str(len(clips)),
        "INNER": str(len(golden.inner)),
        "SECONDS": f"{facts.segment_samples / facts.sample_rate:g}",
        "ARENA": str(arena.device),
        "HOST_ARENA": str(arena.host),
        "MODEL": f"{file.stat().st_size:,}",
        "COMMIT": TRIED_COMMIT,
        "CMSIS_NN": TRIED_CMSIS_NN,
    }
    out.mkdir(parents=True)
    for program in SEPARATOR.glob("separator.*"):
        shutil.copyfile(program, out / program.name)
    texts = filled(TEMPLATES, values)
    texts["resolver.h"] = resolver_h(operators, prefix)
    texts["golden.h"] = _golden_h(golden, clips, model, prefix)
    texts["model_data.cc"] = model_data_cc(file.read_bytes(), prefix)
    for path, text in texts.items():
        (out / path).write_text(text)
    _write_binaries(golden, clips, out / "golden")


def operators_of(model: Model) -> list[str]:
    """The names of all operators of a file, each once."""
    return sorted({operator.name for graph in model.graphs for operator in graph.operators})


def added_as(operator: str) -> str:
    """The function of MicroMutableOpResolver that adds an operator: AddConv2D for CONV_2D."""
    plain = "".join(part.capitalize() for part in operator.split("_"))
    return "Add" + ADDED_AS.get(operator, re.sub(r"2d$", "2D", plain))


def resolver_h(operators: Sequence[str], prefix: str) -> str:
    """The header with a function that adds exactly these operators."""
    upper = prefix.upper()
    adds = "\n".join(f"  if (resolver.{added_as(name)}() != kTfLiteOk) return kTfLiteError;" for name in operators)
    return f"""// The operators of the file, no more.
#ifndef {upper}_RESOLVER_H
#define {upper}_RESOLVER_H

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

#define {upper}_OPERATORS {len(operators)}

inline TfLiteStatus {prefix}_add_operators(tflite::MicroMutableOpResolver<{upper}_OPERATORS>& resolver) {{
{adds}
  return kTfLiteOk;
}}

#endif
"""


def _golden(file: Path, model: Model, clips: Sequence[Clip]) -> _Golden:
    main, reference = model.graphs[0], ReferenceKernels(file)
    made = [(number, tensor) for number, operator in enumerate(main.operators) for tensor in operator.outputs if tensor not in main.outputs]
    count = min(INNER_TENSORS, len(made))
    inner: dict[tuple[int, Tensor], list[int]] = {made[index * len(made) // count]: [] for index in range(count)}
    outputs = []
    for clip in clips:
        reference.run(clip)
        outputs.append([np.array(reference.tensor(tensor)) for tensor in main.outputs])
        for (_, tensor), sums in inner.items():
            sums.append(crc32(reference.tensor(tensor)))
    return _Golden(outputs, inner)


def _golden_h(golden: _Golden, clips: Sequence[Clip], model: Model, prefix: str) -> str:
    inputs = model.graphs[0].inputs
    arrays = "".join(
        c_array(f"static const int16_t golden_input_{clip}_{index}[]", np.asarray(values).reshape(-1).tolist())
        for clip, tensors in enumerate(clips)
        for index, values in enumerate(tensors)
    )
    pointers = ",\n".join(
        f"    {{{', '.join(f'golden_input_{clip}_{index}' for index in range(len(inputs)))}}}" for clip in range(len(clips))
    )
    outputs = ",\n".join(f"    {{{_hexadecimal([crc32(tensor) for tensor in column])}}}" for column in zip(*golden.outputs, strict=True))
    rows = "\n".join(
        f'    {{"{tensor.name}", {number}, {tensor.index}, {tensor.nbytes}, {{{_hexadecimal(sums)}}}}},'
        for (number, tensor), sums in golden.inner.items()
    )
    guard = f"{prefix.upper()}_GOLDEN_H"
    return f"""/* Clips, and the CRC32 of the outputs and of some inner tensors that TFLite's reference kernels compute from them. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#define GOLDEN_CLIPS {len(clips)}
#define GOLDEN_INPUTS {len(inputs)}
#define GOLDEN_OUTPUTS {len(model.graphs[0].outputs)}

{arrays}
static const int16_t *const golden_inputs[GOLDEN_CLIPS][GOLDEN_INPUTS] = {{
{pointers}
}};
static const uint32_t golden_input_bytes[GOLDEN_INPUTS] = {{{", ".join(str(tensor.nbytes) for tensor in inputs)}}};

static const uint32_t golden_outputs[GOLDEN_OUTPUTS][GOLDEN_CLIPS] = {{
{outputs}
}};

/* tensor number `index` of the file, complete after operator number `after` */
struct golden_tensor {{
    const char *name;
    int32_t after, index;
    uint32_t bytes;
    uint32_t crc[GOLDEN_CLIPS];
}};

static const struct golden_tensor golden_tensors[] = {{
{rows}
}};

#endif
"""


def _hexadecimal(sums: Sequence[int]) -> str:
    return ", ".join(f"0x{value:08x}u" for value in sums)


def model_data_cc(content: bytes, prefix: str) -> str:
    """The file as an array of C++."""
    values = c_array(f"alignas(16) const uint8_t {prefix}_model_data[]", content)
    return f'#include "model_data.h"\n\n{values}\nconst size_t {prefix}_model_bytes = sizeof {prefix}_model_data;\n'


def _write_binaries(golden: _Golden, clips: Sequence[Clip], folder: Path) -> None:
    """The clips as plain files, and the CRC32s as a table."""
    folder.mkdir()
    for clip, (inputs, outputs) in enumerate(zip(clips, golden.outputs, strict=True)):
        for side, tensors in (("input", inputs), ("output", outputs)):
            for index, values in enumerate(tensors):
                (folder / f"clip_{clip}_{side}_{index}.bin").write_bytes(np.asarray(values).astype("<i2").tobytes())
    lines = [",".join(["tensor", "after_operator", "index", "bytes", *(f"crc32_of_clip_{clip}" for clip in range(len(clips)))])]
    for (number, tensor), sums in golden.inner.items():
        lines.append(",".join([tensor.name, str(number), str(tensor.index), str(tensor.nbytes), *(f"{value:08x}" for value in sums)]))
    (folder / "tensors.csv").write_text("\n".join(lines) + "\n")


def _description(facts: FileMetadata, model: Model) -> str:
    sides = (("Input", model.graphs[0].inputs), ("Output", model.graphs[0].outputs))
    lines = [f"{side}: {tensor}." for side, tensors in sides for tensor in tensors]
    lines.append(f"Sample rate {facts.sample_rate} Hz, segments of {facts.segment_samples} samples.")
    if facts.source_names:
        lines.append(f"Sources: {', '.join(facts.source_names)}.")
    return "\n".join(lines)
