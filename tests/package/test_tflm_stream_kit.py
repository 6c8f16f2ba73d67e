"""The part of the kit that streams: it compiles strictly, links, and finds an interpreter that computes something else.

What it computes is tested with the stepper (tests/separator/test_stepper.py), and that TFLite Micro computes the same by the gates.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_runtime.model_file import read_model
from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.package.tflm.kit import ArenaBytes, added_as
from pipeline.package.tflm.stream_kit import write_stream_kit
from tests.export.test_streaming import SPEC, whole_model
from tests.package.tflm_headers import write_headers

ARENA = ArenaBytes(host=1 << 20, device=1 << 19)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The whole file and that of a step."""
    folder, whole = tmp_path_factory.mktemp("files"), whole_model(SPEC)
    for name, model in (("model", whole), ("model.stream", to_streaming(whole, 4))):
        onnx.save(model, folder / f"{name}.onnx")
        convert(folder / f"{name}.onnx", folder / f"{name}.tflite", load_target("tflite-int8").allowed_ops)
    return folder / "model.tflite", folder / "model.stream.tflite"


@pytest.fixture(scope="module")
def kit(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "stream"
    write_stream_kit(files[1], np.random.default_rng(0).integers(-9000, 9000, 500, np.int16), ARENA, folder)
    return folder


def test_compiles_strictly_and_finds_another_network(kit: Path, tmp_path: Path) -> None:
    cc, cxx = shutil.which("gcc") or shutil.which("clang"), shutil.which("g++") or shutil.which("clang++")
    if cc is None or cxx is None:
        pytest.skip("no C and C++ compiler here (Debian: apt-get install g++)")
    strict = ("-Wall", "-Wextra", "-Werror")
    for source in sorted(kit.glob("*.c")):
        subprocess.run([cc, "-std=c99", "-pedantic", *strict, "-c", str(source), "-o", str(tmp_path / f"{source.stem}.o")], check=True)
    options = [f"-I{write_headers(tmp_path / 'headers')}", f"-I{kit}", '-DGOLDEN_FOLDER="nowhere"', "-o", str(tmp_path / "golden")]
    sources = [str(kit / "main.cc"), str(kit / "model_data.cc"), *map(str, sorted(tmp_path.glob("*.o")))]
    subprocess.run([cxx, "-std=c++17", *strict, *options, *sources], check=True)
    done = subprocess.run([str(tmp_path / "golden")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "stream: FAIL, after step 0 the first that is remembered otherwise is 'pcm/last_1/next'" in done.stdout


def test_the_kit_says_what_the_file_is(kit: Path, files: tuple[Path, Path]) -> None:
    added = re.findall(r"resolver\.(\w+)\(\)", (kit / "resolver.h").read_text())
    assert sorted(added) == sorted(added_as(name) for name in read_model(files[1]).ops)
    table = (kit / "stream_table.h").read_text()
    assert "#define TINY_STREAM_HOP 32\n#define TINY_STREAM_LATE 8\n#define TINY_STREAM_SOURCES 2\n" in table
    assert f"#define TINY_STREAM_ARENA_BYTES {ARENA.device}\n" in (kit / "arena.h").read_text()
    assert "@" not in (kit / "README.md").read_text()


def test_a_file_that_does_not_stream_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how it streams"):
        write_stream_kit(files[0], np.zeros(99, np.int16), ARENA, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()
