"""The real thing: aarch64 LiteRT and ONNX Runtime under qemu-user, against the same kernels on this computer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.arm64_engine import Arm64Engine
from edge_runtime.arm64_prefix import PROCESSORS
from edge_runtime.model_file import read_model
from edge_runtime.runtime import FileRuntime, open_runtime
from edge_runtime.shipped import file_named
from tests.edge_runtime.emulated import prefix_or_skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def prefix() -> Path:
    return prefix_or_skip()


def emulated(path: Path, kernels: str, cpu: str) -> FileRuntime:
    return FileRuntime("emulated", read_model(path), lambda file: Arm64Engine(file, kernels, cpu=cpu))


@pytest.mark.parametrize("cpu", PROCESSORS)
@pytest.mark.parametrize("kernels", ["litert-ref", "litert-xnnpack"])
def test_the_file_that_ships_gives_the_same_samples(kernels: str, cpu: str) -> None:
    path = file_named(Path("convtasnet"))
    here, there = open_runtime(path, kernels), emulated(path, kernels, cpu)
    noise = np.random.default_rng(0).normal(size=here.segment_samples)
    clip = np.rint(noise / np.abs(noise).max() * 30000).astype(np.int16)
    assert np.array_equal(there.run(clip), here.run(clip))


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_onnx_runtime_gives_the_same_tensors(cpu: str, onnx_network: Path, pcm: np.ndarray) -> None:
    (wanted, wanted_taps), (output, taps) = (
        opened.run_with_taps(pcm) for opened in (open_runtime(onnx_network), emulated(onnx_network, "onnxruntime", cpu))
    )
    assert np.array_equal(output, wanted)
    assert {name: codes.tolist() for name, codes in taps.items()} == {name: codes.tolist() for name, codes in wanted_taps.items()}
