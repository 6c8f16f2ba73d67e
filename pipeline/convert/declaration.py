"""What a lowering says of itself.

Each file of ``pipeline/convert/ops`` holds the declaration of one op, so that adding an op to the converter is adding a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

from onnx import NodeProto

from pipeline.convert.builtin_operators import BuiltinOperator

if TYPE_CHECKING:
    from pipeline.convert.lowering import Lowering

LoweringFunction = Callable[["Lowering", NodeProto], None]
STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Declaration:
    """The lowering of one ONNX op.

    Attributes:
        op: the ONNX op type.
        emits: the TFLite builtin operators that it may add; any other is refused when it is added.
        lower: adds them for a node.
        in_graph: whether the op may stand outside of loops.
        in_loop: whether it may stand in the body of a Scan.
        moves_codes: whether it moves or chooses codes and never changes one, so that its int8 and int16 tensors lie on one grid.
        elementwise: whether each output element depends on the elements at its own place alone.
    """

    op: str
    emits: tuple[BuiltinOperator, ...]
    lower: LoweringFunction
    in_graph: bool = True
    in_loop: bool = False
    moves_codes: bool = False
    elementwise: bool = False


def lowers(
    op: str,
    *,
    emits: Iterable[BuiltinOperator],
    in_graph: bool = True,
    in_loop: bool = False,
    moves_codes: bool = False,
    elementwise: bool = False,
) -> Callable[[LoweringFunction], Declaration]:
    """Make a function of the conversion's state and a node the :class:`Declaration` of how ``op`` is lowered."""

    def declare(lower: LoweringFunction) -> Declaration:
        return Declaration(op, tuple(emits), lower, in_graph, in_loop, moves_codes, elementwise)

    return declare


@dataclass(frozen=True)
class Declarations:
    """All declarations, by ONNX op type: those for the main graph and those for the bodies of loops."""

    in_graph: Mapping[str, Declaration] = field(default_factory=dict)
    in_loop: Mapping[str, Declaration] = field(default_factory=dict)

    def place(self, in_loop: bool) -> Mapping[str, Declaration]:
        """Those for the bodies of loops, or those for the main graph."""
        return self.in_loop if in_loop else self.in_graph


def collect(modules: Iterable[ModuleType]) -> Declarations:
    """The declarations that modules make; one that a module merely imports is not its own.

    Raises:
        ValueError: two for one op in the same place; the message names their modules.
    """
    in_graph: dict[str, Declaration] = {}
    in_loop: dict[str, Declaration] = {}
    for module in modules:
        for item in vars(module).values():
            if not isinstance(item, Declaration) or item.lower.__module__ != module.__name__:
                continue
            for wanted, place, where in ((item.in_graph, in_graph, "the main graph"), (item.in_loop, in_loop, "loops")):
                if wanted and item.op in place:
                    raise ValueError(f"{place[item.op].lower.__module__} and {module.__name__} both lower {item.op} in {where}")
                if wanted:
                    place[item.op] = item
    return Declarations(in_graph, in_loop)
