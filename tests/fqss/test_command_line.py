"""The command line ``fqss``: what is there, what it imports, what it says without the libraries of a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from export_specs.load import model_names, target_names
from fqss.command_line import COMMANDS
from fqss.doctor import Check, checks
from fqss.models import model_lines
from tests.edge_runtime.conftest import write_tflite_network

ROOT = Path(__file__).parents[2]
OF_TRAINING = ("torch", "lightning", "safetensors", "onnxsim", "pyloudnorm", "torchmetrics")  # what the extra "judge" leaves out
HEAVY = ("torch", "onnx", "onnxruntime", "scipy", "lightning", "matplotlib", "jsonschema", "jinja2", "pyloudnorm", "tflite_micro")
# a host with the extra "runtime" alone
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import fqss.__main__
fqss.__main__.main()
"""


def on_a_runtime_host(*arguments: str, lacking: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess[str]:
    program = f"HEAVY = {lacking!r}\n{WITHOUT}"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_host_that_only_runs_files_needs_no_torch_and_no_onnx(tmp_path: Path) -> None:
    file = str(write_tflite_network(tmp_path / "tiny.tflite"))
    for arguments in (["--help"], ["models"], ["doctor"], ["info", file, "--json"], ["audit", file, "--no-load"], ["separate", "--help"]):
        done = on_a_runtime_host(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    missing = on_a_runtime_host("separate", "no.wav", "--model", file)
    assert missing.returncode == 1 and "no.wav" in missing.stderr and "Traceback" not in missing.stderr


def test_a_host_that_judges_files_needs_no_torch() -> None:
    for arguments in (["report", "gates", "--target", "tflite-int8"], ["report", "judge", "--help"], ["bench", "--help"]):
        done = on_a_runtime_host(*arguments, lacking=OF_TRAINING)
        assert done.returncode == 0, (arguments, done.stderr)


def test_what_a_command_lacks_is_told_with_the_extra_that_brings_it() -> None:
    done = on_a_runtime_host("improvement", "weights.safetensors")
    assert done.returncode == 1
    assert done.stderr.startswith("error: fqss improvement needs ") and done.stderr.rstrip().endswith("pip install 'fqss-deploy[train]'")


def test_every_command_is_there_and_says_what_it_takes() -> None:
    listed = subprocess.run([sys.executable, "-m", "fqss", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [
        line.split()[0] for line in listed.partition("Commands:\n")[2].splitlines() if line.startswith("  ") and line[2] != " "
    ] == list(COMMANDS)


def test_unknown_commands_and_options_are_usage_errors() -> None:
    for arguments in (["separat"], ["info", "--jsn"], ["report", "renderr"]):
        done = subprocess.run([sys.executable, "-m", "fqss", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "Traceback" not in done.stderr, (arguments, done.stderr)


def test_info_for_machines_says_what_it_says_in_words(tmp_path: Path) -> None:
    file = str(write_tflite_network(tmp_path / "tiny.tflite"))
    done = subprocess.run([sys.executable, "-m", "fqss", "info", file, "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["format"], found["samples"], found["sources"], found["metadata"]["model"]) == ("tflite", 64, 2, "tiny")
    assert found["bytes"] == Path(file).stat().st_size


def test_models_are_listed_with_the_size_of_their_weights() -> None:
    lines = {line.name: line for line in model_lines()}
    assert set(lines) == set(model_names())
    assert lines["convtasnet"].weights == "float and int8" and lines["convtasnet"].parameters == 395_357
    assert lines["convtasnet"].figure.endswith("(debian-voices)")
    assert lines["convtasnet-paper"].parameters == 5_050_545 and lines["convtasnet-paper"].weights == "none"
    assert all(line.figure for line in lines.values() if line.weights != "none")


def test_a_doctor_names_what_lacks_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "qemu-system-arm" else f"/usr/bin/{name}")
    found = {check.use: check for check in checks()}
    emulators = found["emulated microcontrollers (make emulate)"]
    assert (emulators.lacks, emulators.remedy) == (["qemu-system-arm"], "apt-get install qemu-system-arm")
    assert found["emulated aarch64 (make emulate-arm64)"].line == "ready"
    monkeypatch.setattr("shutil.which", lambda name: None if name.startswith("qemu-aarch64") else f"/usr/bin/{name}")
    found |= {check.use: check for check in checks()}
    for use in ("emulated aarch64 (make emulate-arm64)", "target tflite-int8-arm64"):
        assert found[use].line == "lacks qemu-aarch64: apt-get install qemu-user"
    assert {f"target {name}" for name in target_names()} <= set(found)
    assert found["run files (fqss separate, info, audit)"].line == "ready"
    assert Check("x", ["a", "b"], "do c").line == "lacks a, b: do c"


def test_the_runtime_asks_for_a_part_of_all_that_is_pinned() -> None:
    def wanted(name: str) -> set[str]:
        lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
        return {line.split("#")[0].strip() for line in lines} - {""}

    assert wanted("runtime") < wanted("main")
    assert wanted("judge") < wanted("main") - wanted("runtime")
