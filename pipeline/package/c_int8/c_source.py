"""C text of a program: its constants, which several programs may share, its parameters and its steps."""

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


class Constants:
    """The constant arrays of a package, each once: weights, biases, factors and tables. Their names begin with ``prefix``."""

    def __init__(self, prefix: str, origin: str) -> None:
        self._prefix = prefix
        self._origin = origin
        self._names: dict[Constant, str] = {}

    def name(self, constant: Constant) -> str:
        """The array's name; equal ones are one."""
        return self._names.setdefault(constant, f"{self._prefix}_constant_{len(self._names)}")

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(len(constant.content) for constant in self._names)

    def weights_h(self) -> str:
        """Declarations of every array."""
        arrays = "".join(f"extern {self._declaration(constant)};\n" for constant in self._names)
        guard = f"{self._prefix.upper()}_WEIGHTS_H"
        return f"/* {self._origin} */\n#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n{arrays}\n#endif\n"

    def weights_c(self) -> str:
        """Definitions of every array."""
        arrays = "\n".join(c_array(self._declaration(constant), constant.array.view(_plain(constant)).tolist()) for constant in self._names)
        return f'/* {self._origin} */\n#include "weights.h"\n\n{arrays}'

    def _declaration(self, constant: Constant) -> str:
        return f"const {_C_TYPES[constant.dtype]} {self._names[constant]}[{constant.array.size}]"


class ProgramSource:
    """The C text of a program's parameters, constants and steps, up to ``static const struct fq_program program``."""

    def __init__(self, layout: Layout, constants: Constants) -> None:
        self._constants = constants
        self._placed: dict[Constant, int] = {}
        self._parameters: dict[Parameters, str] = {}
        self._lines = [self._step(step) for step in layout.steps]

    def text(self) -> str:
        """Definitions, all of them static."""
        parameters = "\n".join(
            f"static const struct {item.structure} {name} = {self._literal(item)};" for item, name in self._parameters.items()
        )
        constants = ",\n    ".join(self._constants.name(constant) for constant in self._placed) or "0"
        steps = "\n".join(self._lines)
        return f"""{parameters}

static const void *const constants[] = {{
    {constants},
}};

/* kernel, parameters, places of a, b, c, the result and the scratch; the result's name */
static const struct fq_step steps[] = {{
{steps}
}};

static const struct fq_program program = {{steps, {len(self._lines)}, constants}};
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
        return self._constants.name(value) if isinstance(value, Constant) else str(value)

    def _place(self, place: int | Constant | None) -> str:
        if place is None:
            return "FQ_NONE"
        if isinstance(place, int):
            return str(place)
        self._constants.name(place)
        return str(-1 - self._placed.setdefault(place, len(self._placed)))


def _plain(constant: Constant) -> str:
    return "uint8" if constant.dtype == "bool" else constant.dtype
