"""Every pair of codes through every int8 product, sum and difference of the files that ship: XNNPACK on aarch64 beside XNNPACK here.

A product next to a tie goes one way on x86-64 and the other on aarch64, which `pipeline/quantization/ties.py` avoids where a scalar is one
factor. Where both factors have many values a pair that differs is left, and counted here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.arm64_engine import Arm64Engine
from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_engine
from edge_runtime.shipped import file_named
from tests.edge_runtime.conftest import TfliteGraph
from tests.edge_runtime.emulated import prefix_or_skip

pytestmark = pytest.mark.slow
KINDS = {schema.BuiltinOperator.MUL: "Mul", schema.BuiltinOperator.ADD: "Add", schema.BuiltinOperator.SUB: "Sub"}
CODES = np.arange(-128, 128, dtype=np.int8)
FIRST, SECOND = (np.ascontiguousarray(grid[None]) for grid in np.meshgrid(CODES, CODES, indexing="ij"))
DIFFERING = {"convtasnet": 0, "convtasnet-causal": 0, "convtasnet-tiny": 0, "convtasnet-music": 0, "dptnet": 0, "sepformer": 7,
             "htdemucs": 4}  # fmt: skip
Operator = tuple[str, int, tuple[tuple[float, int], ...]]  # kind, fused activation, (scale, zero point) of both operands and the result


@pytest.fixture(scope="module", autouse=True)
def prefix() -> Path:
    return prefix_or_skip()


def operators(path: Path) -> dict[Operator, np.ndarray]:
    """The different int8 operators of a file, and which pairs of codes [1, 256, 256] can come to one of them: of a constant, its codes."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    found: dict[Operator, np.ndarray] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            kind = KINDS.get(model.operatorCodes[operator.opcodeIndex].builtinCode)
            tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs)]
            if kind is None or any(tensor.type != schema.TensorType.INT8 for tensor in tensors):
                continue
            grids = tuple((float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in tensors)
            constants = [model.buffers[tensor.buffer].data for tensor in tensors[:2]]
            first, second = (CODES if data is None else data.view(np.int8) for data in constants)
            key = (kind, int(operator.builtinOptions.fusedActivationFunction), grids)
            found[key] = found.get(key, np.zeros(FIRST.shape, bool)) | (np.isin(FIRST, first) & np.isin(SECOND, second))
    return found


def differing(path: Path, found: dict[Operator, np.ndarray]) -> int:
    """Pairs of codes that give another code on aarch64, over all operators; ``path`` takes a file of them all, side by side."""
    g, inputs, outputs = TfliteGraph(), list[int](), list[int]()
    for number, (kind, activation, grids) in enumerate(found):
        tensors = [g.tensor(f"{name}{number}", FIRST.shape, np.int8, *grid) for name, grid in zip("abc", grids, strict=True)]
        g.operator(kind.upper(), tensors[:2], tensors[2:], f"{kind}Options", fusedActivationFunction=activation)
        inputs, outputs = inputs + tensors[:2], outputs + tensors[2:]
    file = read_model(g.write(path, inputs, outputs))
    codes = [FIRST, SECOND] * len(found)
    pairs = zip(open_engine(file, "litert-xnnpack").invoke(codes), Arm64Engine(file, "litert-xnnpack").invoke(codes), strict=True)
    return sum(int(np.count_nonzero((here != there) & can)) for (here, there), can in zip(pairs, found.values(), strict=True))


@pytest.mark.parametrize("name", DIFFERING)
def test_no_more_pairs_of_codes_differ_than_are_known(name: str, tmp_path: Path) -> None:
    found = operators(file_named(Path(name)))
    assert {kind for kind, _, _ in found} >= {"Mul", "Add"}
    assert differing(tmp_path / "operators.tflite", found) == DIFFERING[name]


def test_a_product_next_to_a_tie_is_noticed(tmp_path: Path) -> None:
    """22 · 99 steps make 34.50000177, and so do -22 · -99; their negatives, and the products of 18 and 121."""
    tie: Operator = ("Mul", 0, ((34.50000177 / (22 * 99), 0), (1.0, 0), (1.0, 0)))
    everything = np.ones(FIRST.shape, bool)
    assert differing(tmp_path / "tie.tflite", {tie: everything}) == 24
    assert differing(tmp_path / "tie.tflite", {tie: (FIRST == 22) & (SECOND == 99)}) == 1
