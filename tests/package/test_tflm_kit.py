"""The kit for TFLite Micro: it compiles, its numbers are the reference kernels', and what is wrong is found."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_runtime
from edge_runtime.tflm import TflmEngine
from pipeline.convert import builtin_operators
from pipeline.convert.builtin_operators import BuiltinOperator
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.layout import lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from pipeline.package.tflm.kit import ArenaBytes, added_as, write_tflm_kit
from pipeline.quantization.recipe import Recipe
from tests.conformance.networks import deployed
from tests.package.tflm_headers import OPERATORS, write_headers
from tests.tiny import quantized_network, tiny_spec

STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = tiny_spec()
    return deployed(quantized_network(spec, Recipe("fqss", "scalar-gain")), spec, tmp_path_factory.mktemp("file")).path


@pytest.fixture(scope="module")
def clips(file: Path) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    samples = open_runtime(file, "litert-ref").segment_samples
    return [np.clip(rng.normal(0, size, samples), -32768, 32767).astype(np.int16) for size in (6000, 900)]


@pytest.fixture(scope="module")
def kit(file: Path, clips: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "device"
    inputs = [[clip.reshape(read_tflite(file).graphs[0].inputs[0].shape)] for clip in clips]
    write_tflm_kit(file, inputs, ArenaBytes(host=1 << 20, device=1 << 19), folder)
    return folder


@pytest.fixture
def cxx() -> str:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler here (Debian: apt-get install g++)")
    return compiler


def _run(kit: Path, folder: Path, cxx: str) -> subprocess.CompletedProcess[str]:
    headers, program = write_headers(folder / "headers"), folder / "golden"
    sources = [str(kit / name) for name in ("main.cc", "model_data.cc")]
    options = [f"-I{headers}", f"-I{kit}", f'-DGOLDEN_FOLDER="{kit / "golden"}"', "-o", str(program)]
    subprocess.run([cxx, *STRICT, *options, *sources], check=True)
    return subprocess.run([str(program)], capture_output=True, text=True)


def test_compiles_strictly_and_passes_with_the_golden_outputs(kit: Path, tmp_path: Path, cxx: str) -> None:
    done = _run(kit, tmp_path, cxx)
    assert done.returncode == 0, done.stdout
    assert "PASS: 0 of 2 clips differ" in done.stdout and "shows none" in done.stdout


def test_one_code_of_an_output_is_found(kit: Path, tmp_path: Path, cxx: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(kit, broken)
    path = broken / "golden" / "clip_1_output_0.bin"
    codes = np.fromfile(path, "<i2")
    codes[len(codes) // 2] += 1
    codes.tofile(path)
    done = _run(broken, tmp_path, cxx)
    assert done.returncode == 1
    assert "clip 0: pass" in done.stdout and "clip 1: FAIL, output 0 differs" in done.stdout and "FAIL: 1 of 2 clips" in done.stdout


def test_every_operator_that_the_converter_writes_is_added_by_its_name() -> None:
    written = [item.name for item in vars(builtin_operators).values() if isinstance(item, BuiltinOperator)]
    assert len(written) > 25
    assert {added_as(name).removeprefix("Add") for name in written} <= set(OPERATORS)


def test_the_resolver_has_exactly_the_operators_of_the_file(kit: Path, file: Path) -> None:
    text = (kit / "resolver.h").read_text()
    added = re.findall(r"resolver\.(\w+)\(\)", text)
    assert sorted(added) == sorted(added_as(name) for name in read_model(file).ops)
    assert f"_OPERATORS {len(added)}\n" in text


def test_golden_numbers_are_those_of_tflite_micro(kit: Path, file: Path, clips: list[np.ndarray]) -> None:
    """Another runtime than the one that the kit is made with."""
    device = open_runtime(file, "tflm")
    rows = [line.split(",") for line in (kit / "golden" / "tensors.csv").read_text().splitlines()[1:]]
    assert len(rows) == 20
    for number, clip in enumerate(clips):
        assert (np.fromfile(kit / "golden" / f"clip_{number}_input_0.bin", "<i2") == clip).all()
        outputs, taps = device.run_with_taps(clip)
        assert (np.fromfile(kit / "golden" / f"clip_{number}_output_0.bin", "<i2") == outputs.reshape(-1)).all()
        checked = 0
        for name, *_, nbytes, first, second in rows:
            tensor = taps[name]
            if tensor.ndim == 3:  # [1, C, T] as the adapters lay it out; the file has [1, T, 1, C]
                tensor = np.ascontiguousarray(tensor.transpose(0, 2, 1))
            assert tensor.nbytes == int(nbytes)
            checked += f"{zlib.crc32(tensor.tobytes()):08x}" == (first, second)[number]
        assert checked == len(rows)
    sums = [f"{zlib.crc32((kit / 'golden' / f'clip_{number}_output_0.bin').read_bytes()):08x}" for number in (0, 1)]
    assert f"{{0x{sums[0]}u, 0x{sums[1]}u}}" in (kit / "golden.h").read_text()


def test_the_arena_of_a_device_lies_between_what_is_alive_at_once_and_that_of_this_computer(file: Path) -> None:
    engine = TflmEngine(read_model(file))
    assert engine.arena_bytes is not None and engine.device_arena_bytes is not None
    assert lay_out(lower_model(read_tflite(file), OPS)).bound < engine.device_arena_bytes < engine.arena_bytes


def test_cmake_refuses_a_folder_without_tflite_micro(kit: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here (Debian: apt-get install cmake)")
    done = subprocess.run(["cmake", "-S", str(kit), "-B", str(tmp_path), f"-DTFLM_DIR={tmp_path}"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "holds no TFLite Micro" in done.stderr
