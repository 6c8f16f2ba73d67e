"""The networks that ship, with their committed weights: every tensor, on this machine and on emulated microcontrollers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.package import write_c_package
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import StageRunner

NETWORKS = ("convtasnet", "sepformer", "dptnet", "convtasnet-music", "htdemucs")
CLIPS = {"convtasnet": 6}
LARGEST_CODE = 60_000  # bytes of kernels and calls of convtasnet, without constants
MOST_TICKS = 450  # M a second of audio of convtasnet on a Cortex-M55
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"


@pytest.fixture(scope="module", params=NETWORKS)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder, name = tmp_path_factory.mktemp("edge"), request.param
    stage = Deployment(Choice.of(name, "c-int8", "full", "", "", "")).tflite
    assert stage is not None
    file = StageRunner(folder / "build", lambda line: None).run(stage) / "model.tflite"
    rng = np.random.default_rng(0)
    clips = [[_speechlike(rng, tensor.shape) for tensor in read_tflite(file).graphs[0].inputs] for _ in range(CLIPS.get(name, 1))]
    layout = write_c_package(file, clips, folder / "c")
    assert layout.arena_bytes <= 1.02 * layout.bound
    return name, folder / "c"


def _speechlike(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise whose level goes up and down, of a random peak up to full scale."""
    noise = rng.normal(size=shape) * (0.1 + np.abs(np.sin(np.arange(shape[-1]) / shape[-1] * rng.uniform(5, 20))))
    return np.rint(noise / np.abs(noise).max() * rng.uniform(9000, 32767)).astype(np.int16)


def _make(package: Path, goal: str, **settings: str) -> str:
    command = ["make", "-s", "-C", str(package), goal, *(f"{name}={value}" for name, value in settings.items())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 0 of" in done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_this_machine(compiler: str, package: tuple[str, Path], tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here (Debian: apt-get install {compiler})")
    _make(package[1], "check", CC=compiler, BUILD=str(tmp_path))


@pytest.mark.slow
def test_sanitizers(compiler: str, package: tuple[str, Path], tmp_path: Path) -> None:
    _make(package[1], "check", CC=compiler, CFLAGS=SANITIZED, BUILD=str(tmp_path), CLIPS="1")


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-m55", "cortex-m4"])
def test_emulated_microcontroller(cpu: str, package: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = package
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here (Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)")
    said = _make(folder, "emulate", CPU=cpu, BUILD=str(tmp_path), CLIPS="1")
    if (name, cpu) == ("convtasnet", "cortex-m55"):
        assert float(said.split("tensors, ")[1].split()[0]) <= MOST_TICKS
        objects = [str(path) for path in (tmp_path / cpu).glob("*.o") if path.stem not in ("main", "weights", "cortex_m")]
        total = subprocess.run(["arm-none-eabi-size", "-t", *objects], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        assert sum(int(size) for size in total.split()[:3]) <= LARGEST_CODE
