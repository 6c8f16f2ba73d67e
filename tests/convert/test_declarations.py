"""The declarations of the lowerings: found, unambiguous, and kept to."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from onnx import NodeProto

from pipeline.convert.builtin_operators import BATCH_MATMUL, CONV_2D, LEAKY_RELU, TANH, TRANSPOSE, BuiltinOperator
from pipeline.convert.convert import convert
from pipeline.convert.declaration import Declarations, collect, lowers
from pipeline.convert.errors import ConversionError
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops import DECLARATIONS
from tests.conformance.qdq_graph import QdqGraph

RELU = BuiltinOperator("RELU", {"int8 -> int8": 2})


def _module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def _nothing(lowering: Lowering, node: NodeProto) -> None:
    raise AssertionError("lowers nothing")


def test_every_file_of_an_op_is_found() -> None:
    assert {"Add", "Conv", "Scan", "Sqrt"} <= DECLARATIONS.in_graph.keys()
    assert DECLARATIONS.in_loop["MatMul"].emits == (CONV_2D,)
    assert DECLARATIONS.in_graph["MatMul"].emits == (BATCH_MATMUL, TRANSPOSE)
    assert "Split" not in DECLARATIONS.in_graph
    assert "Scan" not in DECLARATIONS.in_loop


def test_an_imported_declaration_is_not_the_importers() -> None:
    own = lowers("Celu", emits=(TANH,))(_nothing)
    assert collect([_module(__name__, own=own), _module("elsewhere", imported=own)]).in_graph == {"Celu": own}


def test_two_lowerings_of_one_op_are_named() -> None:
    first, second = lowers("Celu", emits=(TANH,))(_nothing), lowers("Celu", emits=(LEAKY_RELU,))(_nothing)
    with pytest.raises(ValueError, match=f"{__name__} and {__name__} both lower Celu in the main graph"):
        collect([_module(__name__, first=first, second=second)])
    in_loop = lowers("Celu", emits=(TANH,), in_graph=False, in_loop=True)(_nothing)
    assert collect([_module(__name__, first=first, in_loop=in_loop)]) == Declarations({"Celu": first}, {"Celu": in_loop})


def _emit_relu(lowering: Lowering, node: NodeProto) -> None:
    source, result = lowering.dequantized(node, 0), lowering.quantized(node)
    lowering.emit(node, RELU, [lowering.tensor(source.name)], [lowering.tensor(result.name)])


@pytest.mark.parametrize("emits", [(RELU,), (LEAKY_RELU, TANH)])
def test_an_operator_that_was_not_declared_is_refused(emits: tuple[BuiltinOperator, ...], tmp_path: Path) -> None:
    g = QdqGraph()
    g.q(g.op("Celu", g.dq(g.input("x", (1, 4, 10)), 0.05, 0), out="celu"), 0.05, 0, out="y")
    source = g.save(tmp_path / "m.onnx", {"y": ("int8", (1, 4, 10))})
    declarations = collect([_module(__name__, celu=lowers("Celu", emits=emits)(_emit_relu))])
    if RELU in emits:
        assert convert(source, tmp_path / "m.tflite", declarations=declarations).op_counts == {"RELU": 1}
        return
    with pytest.raises(ConversionError, match=r"'/celu/Celu'.*its lowering emits RELU, which it does not declare"):
        convert(source, tmp_path / "m.tflite", declarations=declarations)
    assert not (tmp_path / "m.tflite").exists()
