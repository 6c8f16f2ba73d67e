"""The text of the C files: ``weights.h``, ``weights.c``, ``model.h`` and ``model.c``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from pipeline.package.c_int8.layout import Layout, PlacedStep
from pipeline.package.c_int8.program import Constant, Field, Parameters, Pointer

WIDTH = 120
_C_TYPES = {"bool": "uint8_t", **{name: f"{name}_t" for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")}}


def identifier(name: str) -> str:
    """A model's name as the prefix of its C symbols."""
    plain = re.sub(r"\W", "_", name)
    return plain if plain[0].isalpha() else f"model_{plain}"


def c_array(declaration: str, values: Iterable[object]) -> str:
    """A definition with its values, in lines of readable width."""
    body = textwrap.fill(",".join(str(value) for value in values).replace(",", ", "), WIDTH, break_long_words=False)
    return f"{declaration} = {{\n{body.replace(', ', ',')}\n}};\n"


class ModelSource:
    """The C text of a program. ``prefix`` begins the name of every symbol that other files see."""

    def __init__(self, layout: Layout, prefix: str, origin: str) -> None:
        self._layout = layout
        self._prefix = prefix
        self._origin = origin
        self._constants: dict[Constant, str] = {}
        self._placed: dict[Constant, int] = {}
        self._parameters: dict[Parameters, str] = {}
        self._lines = [self._step(step) for step in layout.steps]

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constant arrays."""
        return sum(len(constant.content) for constant in self._constants)

    def weights_h(self) -> str:
        """Declarations of every constant array."""
        arrays = "".join(f"extern {self._declaration(constant)};\n" for constant in self._constants)
        guard = f"{self._prefix.upper()}_WEIGHTS_H"
        return f"/* {self._origin} */\n#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n{arrays}\n#endif\n"

    def weights_c(self) -> str:
        """Definitions of every constant array: weights, biases, factors and tables."""
        arrays = "\n".join(
            c_array(self._declaration(constant), constant.array.view(_plain(constant)).tolist()) for constant in self._constants
        )
        return f'/* {self._origin} */\n#include "weights.h"\n\n{arrays}'

    def model_c(self) -> str:
        """Parameters, steps and the functions of ``model.h``."""
        parameters = "\n".join(
            f"static const struct {item.structure} {name} = {self._literal(item)};" for item, name in self._parameters.items()
        )
        constants = ",\n    ".join(self._constants[constant] for constant in self._placed) or "0"
        steps = "\n".join(self._lines)
        prefix, layout = self._prefix, self._layout
        places = {
            side: ", ".join(str(offset) for _, offset in tensors)
            for side, tensors in (("input", layout.inputs), ("output", layout.outputs))
        }
        return f"""/* {self._origin} */
#include "model.h"

#include "program.h"
#include "weights.h"

{parameters}

static const void *const constants[] = {{
    {constants},
}};

/* kernel, parameters, places of a, b, c, the result and the scratch; the result's name */
static const struct fq_step steps[] = {{
{steps}
}};

static const struct fq_program program = {{steps, {len(self._lines)}, constants}};
static const int32_t input_places[] = {{{places["input"]}}};
static const int32_t output_places[] = {{{places["output"]}}};

int16_t *{prefix}_input(struct {prefix} *state, int index)
{{
    return (int16_t *)(void *)(state->arena.bytes + input_places[index]);
}}

const int16_t *{prefix}_output(const struct {prefix} *state, int index)
{{
    return (const int16_t *)(const void *)(state->arena.bytes + output_places[index]);
}}

void {prefix}_run(struct {prefix} *state)
{{
    fq_run(&program, state->arena.bytes);
}}

int32_t {prefix}_run_step(struct {prefix} *state, int32_t index)
{{
    return fq_run_step(&program, state->arena.bytes, index);
}}
"""

    def model_h(self, description: str) -> str:
        """The interface of the network; ``description`` goes into its comment."""
        prefix, upper, layout = self._prefix, self._prefix.upper(), self._layout
        sizes = "".join(
            f"#define {upper}_{side}_{index}_VALUES {tensor.size} /* {tensor.name} {list(tensor.shape)} */\n"
            for side, tensors in (("INPUT", layout.inputs), ("OUTPUT", layout.outputs))
            for index, (tensor, _) in enumerate(tensors)
        )
        return f"""/* {self._origin}
 *
{textwrap.indent(description, " * ", lambda _: True)}
 */
#ifndef {upper}_MODEL_H
#define {upper}_MODEL_H

#include <stdint.h>

#define {upper}_ARENA_BYTES {layout.arena_bytes}
#define {upper}_STEPS {len(layout.steps)}
#define {upper}_INPUTS {len(layout.inputs)}
#define {upper}_OUTPUTS {len(layout.outputs)}
{sizes}
/* All that one instance of the network changes. Any number may run side by side. */
struct {prefix} {{
    union {{
        int64_t alignment;
        unsigned char bytes[{upper}_ARENA_BYTES];
    }} arena;
}};

/* Where input `index` is to be written before a run, int16. A run overwrites it. */
int16_t *{prefix}_input(struct {prefix} *state, int index);

/* Output `index` of the last run, int16; it holds until the next run or the next write to an input. */
const int16_t *{prefix}_output(const struct {prefix} *state, int index);

/* One run over a whole segment. */
void {prefix}_run(struct {prefix} *state);

/* The same step by step, to look at tensors between them: runs step `index` and gives the next one; the first is 0, and there is none
 * at {upper}_STEPS. */
int32_t {prefix}_run_step(struct {prefix} *state, int32_t index);

#endif
"""

    def _step(self, step: PlacedStep) -> str:
        places = ", ".join(self._place(place) for place in step.places)
        return f"    {{{step.kernel or 0}, &{self._structure(step.parameters)}, {places}}}, /* {step.name} */"

    def _structure(self, parameters: Parameters) -> str:
        """The name of a structure, defined after what it points to; equal ones are one."""
        if parameters not in self._parameters:
            self._literal(parameters)
            self._parameters[parameters] = f"{parameters.structure.removeprefix('fq_')}_{len(self._parameters)}"
        return self._parameters[parameters]

    def _literal(self, value: Field) -> str:
        if isinstance(value, Parameters):
            return "{" + ", ".join(f".{name} = {self._literal(item)}" for name, item in value.fields) + "}"
        if isinstance(value, tuple):
            return "{" + ", ".join(str(item) for item in value) + "}"
        if isinstance(value, Pointer):
            return f"&{self._structure(value.to)}"
        return self._name(value) if isinstance(value, Constant) else str(value)

    def _place(self, place: int | Constant | None) -> str:
        if place is None:
            return "FQ_NONE"
        if isinstance(place, int):
            return str(place)
        self._name(place)
        return str(-1 - self._placed.setdefault(place, len(self._placed)))

    def _name(self, constant: Constant) -> str:
        return self._constants.setdefault(constant, f"{self._prefix}_constant_{len(self._constants)}")

    def _declaration(self, constant: Constant) -> str:
        return f"const {_C_TYPES[constant.dtype]} {self._constants[constant]}[{constant.array.size}]"


def _plain(constant: Constant) -> str:
    return "uint8" if constant.dtype == "bool" else constant.dtype
