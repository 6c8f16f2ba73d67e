"""Every lowering of the converter, by the cases of tests/conformance: each kernel equals LiteRT's reference kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export_specs.foundation.errors import UserError
from pipeline.convert.convert import convert
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from tests.c_int8.kernel_library import KernelLibrary, assert_equal_to_reference
from tests.conformance.cases import CASES

SEEDS = range(8)  # as tests.conformance.test_ops: some others make a depthwise convolution of one channel, which is refused


NOT_ALLOWED = "prelu"  # the targets do not allow PRELU, which the converter writes where it may


@pytest.mark.parametrize("name", [name for name in CASES if name != NOT_ALLOWED])
def test_kernel_equals_the_reference_kernel(name: str, library: KernelLibrary, tmp_path: Path) -> None:
    for seed in SEEDS:
        case = CASES[name](np.random.default_rng(seed))
        source = case.graph.save(tmp_path / "op.onnx", case.outputs)
        convert(source, tmp_path / "op.tflite")
        inputs = [_laid_out(case.inputs[tensor.name], tensor.shape) for tensor in read_tflite(tmp_path / "op.tflite").graphs[0].inputs]
        assert_equal_to_reference(library, tmp_path / "op.tflite", inputs)


def test_an_operator_without_a_kernel_is_refused_by_name(tmp_path: Path) -> None:
    case = CASES[NOT_ALLOWED](np.random.default_rng(0))
    convert(case.graph.save(tmp_path / "op.onnx", case.outputs), tmp_path / "op.tflite")
    with pytest.raises(UserError, match="PRELU 'y' has no kernel in C"):
        lower_model(read_tflite(tmp_path / "op.tflite"), OPS)


def _laid_out(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[N, C, T] as the file's [N, T, 1, C]."""
    return np.ascontiguousarray(value.transpose(0, 2, 1)[:, :, None, :]) if (value.ndim, len(shape)) == (3, 4) else value
