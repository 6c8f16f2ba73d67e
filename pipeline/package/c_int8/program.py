"""What a package computes, before it has addresses: calls of kernels, loops of them, and which tensors share memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipeline.package.c_int8.flatbuffer_reader import Array, Tensor


@dataclass(frozen=True)
class Constant:
    """An array in the program memory of the device; two of equal type and bytes are one."""

    dtype: str
    content: bytes

    @classmethod
    def of(cls, array: Array) -> Constant:
        """The constant with the values of an array."""
        return cls(array.dtype.name, np.ascontiguousarray(array).tobytes())

    @property
    def array(self) -> Array:
        """The values, flat."""
        return np.frombuffer(self.content, self.dtype)


@dataclass(frozen=True)
class Parameters:
    """A structure of ``kernels.h`` and its fields in order: int32, arrays of int32, pointers, and structures."""

    structure: str
    fields: tuple[tuple[str, Field], ...]

    @classmethod
    def of(cls, structure: str, **fields: Field) -> Parameters:
        """The structure with fields in the order given."""
        return cls(structure, tuple(fields.items()))


@dataclass(frozen=True)
class Pointer:
    """A pointer to a structure, which others of the same values point to as well."""

    to: Parameters


Field = int | tuple[int, ...] | Constant | Parameters | Pointer
Operand = Tensor | Constant | None


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel. ``in_place`` are the operands whose memory the result may take where they are not read again."""

    kernel: str
    parameters: Parameters
    operands: tuple[Operand, ...]
    result: Tensor
    scratch: int = 0
    in_place: tuple[Tensor, ...] = ()

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The computed tensors among the operands."""
        return tuple(operand for operand in self.operands if isinstance(operand, Tensor))


@dataclass(frozen=True, eq=False)
class Variable:
    """What a loop carries: the memory ``holds`` from turn to turn, and ``following``, which a turn computes for the next."""

    holds: Tensor
    following: Tensor


@dataclass(frozen=True, eq=False)
class Loop:
    """``while (condition, more) body``: the steps of the condition compute ``more``, those of the body each variable's next value.

    ``results`` are what the variables hold at last, as the graph around the loop names it.
    """

    condition: tuple[Step | Loop, ...]
    more: Tensor
    body: tuple[Step | Loop, ...]
    variables: tuple[Variable, ...]
    results: tuple[Tensor, ...]


@dataclass
class Program:
    """The steps of a network in order.

    ``shared`` are pairs of tensors that are one memory. ``named`` are the computed tensors of the file's main graph, ``kept`` what holds
    from run to run.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    steps: tuple[Step | Loop, ...] = ()
    shared: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    named: tuple[Tensor, ...] = ()
    kept: tuple[Tensor, ...] = ()
