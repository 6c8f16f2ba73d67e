"""The package of a small network as a firmware team gets it: compiled strictly, run, broken, and looked into."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.package import KERNELS, write_c_package
from pipeline.quantization.recipe import Recipe
from tests.c_int8.kernel_library import STRICT, KernelLibrary, assert_equal_to_reference
from tests.conformance.networks import deployed
from tests.tiny import quantized_network, tiny_dptnet, tiny_htdemucs, tiny_music_spec, tiny_sepformer, tiny_spec

NETWORKS = {
    "convtasnet": tiny_spec,
    "convtasnet-music": tiny_music_spec,
    "sepformer": tiny_sepformer,
    "dptnet": tiny_dptnet,
    "htdemucs": tiny_htdemucs,
}
RECIPE = Recipe("fqss", "scalar-gain")
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
ALLOWED_SYMBOLS = {"memcpy", "memset", "memmove", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}


def _file(name: str, folder: Path) -> tuple[Path, list[np.ndarray]]:
    """A file with random weights, and an input."""
    spec = NETWORKS[name]()
    file = deployed(quantized_network(spec, RECIPE), spec, folder).path
    rng = np.random.default_rng(1)
    inputs = read_tflite(file).graphs[0].inputs
    return file, [np.clip(rng.normal(0, 6000, tensor.shape), -32768, 32767).astype(np.int16) for tensor in inputs]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_a_network(name: str, library: KernelLibrary, tmp_path: Path) -> None:
    file, clip = _file(name, tmp_path)
    layout = assert_equal_to_reference(library, file, clip)
    assert layout.arena_bytes <= 1.02 * layout.bound


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    file, clip = _file("convtasnet", folder)
    quiet = [value // 7 for value in clip]
    write_c_package(file, [clip, quiet], folder / "c")
    return folder / "c"


def _check(package: Path, build: Path, compiler: str, flags: str = "-O1", **settings: str) -> subprocess.CompletedProcess[str]:
    values = [f"{name}={value}" for name, value in {"CC": compiler, "CFLAGS": flags, "BUILD": str(build), **settings}.items()]
    return subprocess.run(["make", "-s", "-C", str(package), "check", *values], capture_output=True, text=True)


@pytest.mark.parametrize("choice", ["gcc", "clang"])
def test_builds_without_a_warning_and_passes(choice: str, package: Path, tmp_path: Path) -> None:
    if shutil.which(choice) is None:
        pytest.skip(f"no {choice} here (Debian: apt-get install {choice})")
    done = _check(package, tmp_path, choice)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 0 of 2 clips differ" in done.stdout
    assert not done.stderr


def test_sanitizers_find_nothing(compiler: str, package: Path, tmp_path: Path) -> None:
    done = _check(package, tmp_path, compiler, SANITIZED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout


def test_a_flipped_bit_of_a_weight_is_found_and_the_tensor_named(compiler: str, package: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    text = (broken / "weights.c").read_text()
    name = re.search(r"&conv_2d_\d+, [^/]*, (-\d+), (-\d+), \d+, \d+}, /\* encoder", (broken / "model.c").read_text())
    assert name is not None
    constants = re.search(r"constants\[\] = {(.*?)};", (broken / "model.c").read_text(), re.S)
    assert constants is not None
    array = constants[1].split(",")[-1 - int(name[1])].strip()
    start = text.index("{", text.index(f"{array}[")) + 1
    first = re.match(r"\s*(-?\d+)", text[start:])
    assert first is not None
    flipped = int(first[1]) ^ 64
    (broken / "weights.c").write_text(f"{text[:start]}{flipped}{text[start + first.end() :]}")
    done = _check(broken, tmp_path / "build", compiler)
    assert done.returncode != 0
    assert "clip 0: FAIL, the first tensor that differs is 'encoder'" in done.stdout


def test_no_float_no_allocation_and_nothing_that_changes(compiler: str, package: Path, tmp_path: Path) -> None:
    assert _check(package, tmp_path, compiler).returncode == 0
    objects = [str(path) for path in tmp_path.glob("*.o") if path.name != "main.o"]
    listed = subprocess.run(["nm", *objects], capture_output=True, text=True, check=True).stdout
    kinds = [line.split()[-2:] for line in listed.splitlines() if len(line.split()) >= 2]
    defined = {name for kind, name in kinds if kind in "TtRrD"}
    undefined = {name for kind, name in kinds if kind == "U"}
    assert undefined - defined <= ALLOWED_SYMBOLS
    assert not [name for kind, name in kinds if kind in "BbCc"], "a variable"
    sections = subprocess.run(["size", "-A", *objects], capture_output=True, text=True, check=True).stdout
    assert not re.findall(r"^\.(?:data|bss)\s+[1-9]", sections, re.M), "a variable"
    for source in [*KERNELS.glob("*"), *package.glob("model.*"), *package.glob("weights.*")]:
        assert not re.search(r"\b(?:float|double|malloc|free)\b", _code(source.read_text())), source


def _code(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def test_a_failed_clip_fails_the_build(compiler: str, package: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    text = (broken / "golden.h").read_text()
    (broken / "golden.h").write_text(re.sub(r"0x[0-9a-f]{8}u}},\n};", "0x00000000u}},\n};", text))
    done = _check(broken, tmp_path / "build", compiler)
    assert done.returncode != 0
    assert "clip 1: FAIL, the first tensor that differs is 'separated'" in done.stdout
    assert "FAIL: 1 of 2 clips" in done.stdout


TWO_INSTANCES = """
#include "golden.h"
#include "model.h"
#include <string.h>
static struct tiny first, second, alone;
int main(void)
{
    memcpy(tiny_input(&first, 0), golden_inputs[0][0], sizeof golden_input_0_0);
    memcpy(tiny_input(&second, 0), golden_inputs[1][0], sizeof golden_input_1_0);
    for (int32_t step = 0, next; step < TINY_STEPS; step = next) {
        next = tiny_run_step(&first, step);
        tiny_run_step(&second, step);
    }
    for (int clip = 0; clip < 2; clip++) {
        memcpy(tiny_input(&alone, 0), golden_inputs[clip][0], sizeof golden_input_0_0);
        tiny_run(&alone);
        if (memcmp(tiny_output(&alone, 0), tiny_output(clip ? &second : &first, 0), TINY_OUTPUT_0_VALUES * sizeof(int16_t))) {
            return 1;
        }
    }
    return golden_tensors[0].step != 0;
}
"""


def test_instances_run_side_by_side(compiler: str, package: Path, tmp_path: Path) -> None:
    (tmp_path / "two.c").write_text(TWO_INSTANCES)
    sources = [*sorted(str(path) for path in (package / "kernels").glob("*.c")), str(package / "model.c"), str(package / "weights.c")]
    includes = [f"-I{package}", f"-I{package / 'kernels'}"]
    command = [compiler, *STRICT, "-O1", *includes, *sources, str(tmp_path / "two.c"), "-o", str(tmp_path / "two")]
    subprocess.run(command, check=True)
    assert subprocess.run([str(tmp_path / "two")]).returncode == 0


def test_cmake_builds_the_library_and_its_test(package: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here (Debian: apt-get install cmake)")
    subprocess.run(["cmake", "-S", str(package), "-B", str(tmp_path)], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", str(tmp_path)], check=True, capture_output=True)
    assert "100% tests passed" in subprocess.run(["ctest", "--test-dir", str(tmp_path)], capture_output=True, text=True).stdout


@pytest.mark.parametrize(("settings", "message"), [({"CPU": "cortex-m99"}, "it is one of: cortex-m55 cortex-m4")])
def test_emulation_says_what_it_needs(settings: dict[str, str], message: str, package: Path) -> None:
    done = subprocess.run(
        ["make", "-s", "-C", str(package), "emulate", *(f"{name}={value}" for name, value in settings.items())],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert message in done.stderr
    done = subprocess.run(["make", "-s", "-C", str(package), "emulate", "ARM_CC=no-such-compiler"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "no-such-compiler is not installed (Debian: apt-get install gcc-arm-none-eabi" in done.stderr
