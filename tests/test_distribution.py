"""What an installed fqss-deploy puts into site-packages (docs/adr/0024-one-installed-package.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fqss import FOLDERS
from tests.edge_runtime.conftest import write_tflite_network

ROOT = Path(__file__).parents[1]
WEIGHTS = shutil.ignore_patterns("*.safetensors", "__pycache__")  # 55 MB; they are data like the rest
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    sources, result = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in ("fqss", *FOLDERS, "requirements"):
        shutil.copytree(ROOT / name, sources / name, ignore=WEIGHTS)
    for name in ("float", "qat-vanilla-scalar-gain-full"):
        (sources / "pipeline" / "weights" / "convtasnet" / f"{name}.safetensors").touch()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, sources / name)
    for _ in range(2):  # the second finds the remains of the first
        subprocess.run([sys.executable, "-c", BUILD, result], cwd=sources, check=True, capture_output=True)
    return zipfile.ZipFile(next(result.glob("*.whl")))


@pytest.fixture
def site(wheel: zipfile.ZipFile, tmp_path: Path) -> Path:
    """An environment with this wheel and with another distribution that has a module ``validation``, and no editable installation."""
    site = tmp_path / "site"
    wheel.extractall(site)
    (site / "validation.py").write_text("")
    return site


def python(site: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """In a process whose only other libraries are the standard library's and this environment's, without their ``.pth`` files."""
    libraries = [place for place in sys.path if place.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *libraries])}
    return subprocess.run(
        [sys.executable, "-S", *arguments], cwd=folder or site, env=environment, capture_output=True, text=True, check=False
    )


def test_a_wheel_has_one_package(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {"fqss", "fqss_deploy-0.1.0.dist-info"}


def test_a_wheel_holds_every_module_and_what_modules_read(wheel: zipfile.ZipFile) -> None:
    files = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {f"fqss/folders/{path.relative_to(ROOT)}" for path in files if path.suffix not in (".safetensors", ".csv")}
    found = {name for name in wheel.namelist() if name.startswith("fqss/folders/")}
    assert expected == {name for name in found if not name.endswith(".safetensors")}


def test_a_wheel_has_the_weights_that_ship_and_not_those_that_are_compared_with(wheel: zipfile.ZipFile) -> None:
    weights = [Path(name).name for name in wheel.namelist() if name.endswith(".safetensors")]
    assert weights == ["float.safetensors"]


def test_other_packages_of_the_same_name_stay_what_they_are(site: Path) -> None:
    found = python(site, "-c", "import validation; print(validation.__file__)")
    assert found.stdout.strip() == str(site / "validation.py"), found.stderr


def test_in_a_process_that_imports_fqss_the_names_are_its(site: Path) -> None:
    found = python(site, "-c", "import fqss, validation, edge_runtime.level; print(validation.__file__, edge_runtime.__file__)")
    assert found.stdout.split() == [str(site / "fqss" / "folders" / name / "__init__.py") for name in ("validation", "edge_runtime")]


def test_a_name_that_is_taken_is_told(site: Path) -> None:
    found = python(site, "-c", "import validation, fqss")
    assert f"ImportError: 'validation' is not fqss's in this process but {site / 'validation.py'}" in found.stderr


def test_programs_run_and_so_do_those_that_they_start(site: Path, tmp_path: Path) -> None:
    """Also where the current folder has a module of that name."""
    (tmp_path / "validation.py").write_text("")
    (site / "fqss" / "folders" / "validation" / "__main__.py").write_text("print('judged')")
    child = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'validation'])"
    (site / "fqss" / "folders" / "edge_runtime" / "__main__.py").write_text(f"import sys; print(sys.argv[1:], flush=True); {child}")
    found = python(site, "-m", "fqss", "edge_runtime", "info", folder=tmp_path)
    assert found.stdout.splitlines() == ["['info']", "judged"], found.stderr


def test_what_is_no_program_of_ours_is_refused(site: Path) -> None:
    found = python(site, "-m", "fqss", "json.tool")
    assert found.returncode == 2 and "No such command 'json.tool'" in found.stderr


def test_commands_work_outside_a_checkout(site: Path, tmp_path: Path) -> None:
    """Those that a host needs which only runs files, and what the child processes of an audit say."""
    file = write_tflite_network(tmp_path / "tiny.tflite")
    assert python(site, "-m", "fqss", "--version").stdout == "fqss-deploy 0.1.0\n"
    assert '"name": "convtasnet"' in python(site, "-m", "fqss", "models", "--json").stdout
    assert "target tflite-int8" in python(site, "-m", "fqss", "doctor").stdout
    assert "separates 64 samples into 2 source(s)" in python(site, "-m", "fqss", "info", str(file)).stdout
    audited = python(site, "-m", "fqss", "audit", str(file))
    assert audited.returncode == 0 and "LiteRT: loads it" in audited.stdout, audited.stderr


def python_of(version: str) -> str | None:
    """A Python of this version that can make an environment, from PATH or pyenv."""
    found = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))]
    tried = ((path, subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False)) for path in found if path)
    return next((path for path, done in tried if not done.returncode), None)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_gives_the_same_samples(version: str, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """In an empty environment, with the libraries that pip chooses today; beside this process's Python and the locked ones."""
    other = python_of(version)
    if other is None:
        pytest.skip(f"no Python {version} that makes environments is on this machine")
    subprocess.run([other, "-m", "venv", tmp_path / "there"], check=True)
    subprocess.run([tmp_path / "there" / "bin" / "python", "-m", "pip", "install", "--quiet", str(wheel.filename)], check=True)
    noise = np.random.default_rng(0).integers(-9000, 9000, 40_000).astype(np.int16)
    soundfile.write(tmp_path / "mix.wav", noise, 8000)
    for program, out in (([tmp_path / "there" / "bin" / "fqss"], "there-out"), ([sys.executable, "-m", "fqss"], "here-out")):
        command = [*program, "separate", tmp_path / "mix.wav", "--model", "convtasnet", "--out", tmp_path / out]
        subprocess.run(command, cwd=ROOT if out == "here-out" else tmp_path, check=True, capture_output=True)
    for source in ("mix_1.wav", "mix_2.wav"):
        separated, rate = soundfile.read(tmp_path / "there-out" / source, dtype="int16")
        assert rate == 8000 and np.ptp(separated) > 0
        np.testing.assert_array_equal(separated, soundfile.read(tmp_path / "here-out" / source, dtype="int16")[0])
