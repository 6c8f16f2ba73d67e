"""Runtimes on an emulated aarch64 processor, with this computer's Python in the emulator's place: what is asked for, answered, refused."""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import arm64_engine, arm64_prefix
from edge_runtime.arm64_engine import Arm64Engine
from edge_runtime.arm64_prefix import CPUINFO, PROCESSORS, command, make_prefix, prefix_made, prefix_place, variables
from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_runtime
from export_specs.foundation.code_version import ROOT
from export_specs.foundation.errors import UserError
from export_specs.schema import EMULATED
from tests.edge_runtime.conftest import TfliteGraph

PARTS = {"cortex-a72": 0xD08, "cortex-a76": 0xD0B}  # of the main ID registers, as Arm's reference manuals give them
DIES = "import sys; print('no more memory', file=sys.stderr); sys.exit(9)"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process runs on this computer's Python instead of the emulated one."""
    monkeypatch.setattr(arm64_engine, "prefix_made", lambda: tmp_path)
    monkeypatch.setattr(arm64_engine, "command", lambda prefix, cpu, arguments: [sys.executable, "-P", *arguments])
    monkeypatch.setattr(arm64_engine, "variables", lambda prefix: {"PYTHONPATH": str(ROOT)})


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """The programs that are there."""
    there = {"qemu-aarch64", "apt-get", "dpkg-deb"}
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name in there else None)
    monkeypatch.setattr(arm64_prefix, "CACHE", tmp_path / "cache")
    return there


def test_the_emulator_is_told_processor_prefix_and_python(programs: set[str]) -> None:
    expected = ["/usr/bin/qemu-aarch64", "-cpu", "cortex-a76", "-L", "/p/cortex-a76", "/p/root/usr/bin/python3.11", "-P", "-m", "x", "3"]
    assert command(Path("/p"), "cortex-a76", ["-m", "x", "3"]) == expected
    programs.symmetric_difference_update({"qemu-aarch64", "qemu-aarch64-static"})
    assert command(Path("/p"), "cortex-a72", [])[0] == "/usr/bin/qemu-aarch64-static"
    with pytest.raises(UserError, match=r"unknown emulated processor 'max'\. Choose one of: cortex-a72, cortex-a76"):
        command(Path("/p"), "max", [])
    programs.clear()
    with pytest.raises(UserError, match=r"no qemu-aarch64 here.*apt-get install qemu-user"):
        command(Path("/p"), "cortex-a72", [])


def test_the_emulated_python_finds_its_own_libraries_before_any_other() -> None:
    found = variables(Path("/p"))
    assert found["PYTHONPATH"] == f"/p/site:{ROOT}"
    assert found["PYTHONHOME"] == "/p/root/usr"
    assert "LD_LIBRARY_PATH" not in found


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_the_processor_is_that_which_is_emulated(cpu: str) -> None:
    told = dict(re.findall(r"^(.+?)\t*: (.+)$", CPUINFO.format(*PROCESSORS[cpu].split("|")), re.MULTILINE))
    assert (told["processor"], told["CPU implementer"], told["CPU architecture"]) == ("0", "0x41", "8")
    assert int(told["CPU part"], 16) == PARTS[cpu]
    assert ("asimddp" in told["Features"].split()) == (cpu == "cortex-a76"), "a Cortex-A72 has no dot product"


def test_other_versions_have_a_prefix_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first = prefix_place()
    assert first == prefix_place()
    monkeypatch.setattr(arm64_prefix, "version", lambda name: "0.1")
    assert prefix_place() != first


def fake_programs(monkeypatch: pytest.MonkeyPatch, failing: str = "") -> list[str]:
    """Programs that leave what they should, and the names of those that were run."""
    ran: list[str] = []

    def run(what: str, command: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
        ran.append(what)
        if failing and what.startswith(failing):
            raise UserError(f"{what} failed")
        if what == "apt-get download":
            (folder / "libc6_1_arm64.deb").write_bytes(b"1234567")
        if what == "pip download":
            (folder / "numpy-1-aarch64.whl").write_bytes(b"123")
        if what == "pip install":
            Path(command[command.index("--target") + 1]).mkdir()

    monkeypatch.setattr(arm64_prefix, "_run", run)
    return ran


def test_a_prefix_is_made_once_and_whole(programs: set[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    ran = fake_programs(monkeypatch)
    with pytest.raises(UserError, match=r"the emulated aarch64 runtimes are not there .*make arm64"):
        prefix_made()
    place = make_prefix()
    assert ran == ["apt-get update", "apt-get download", "dpkg-deb -x libc6_1_arm64.deb", "pip download", "pip install",
                   *(f"Python on the emulated {cpu}" for cpu in PROCESSORS)]  # fmt: skip
    assert "packages of Debian 12" in (told := capfd.readouterr().err) and f"in {place}" in told
    for cpu in PROCESSORS:
        assert (place / cpu / "lib").readlink() == Path("../root/lib") and (place / cpu / "usr").readlink() == Path("../root/usr")
        assert f"{PARTS[cpu]:#x}" in (place / cpu / "proc" / "cpuinfo").read_text()
    assert make_prefix() == prefix_made() == place and len(ran) == 7
    assert [path.name for path in place.parent.iterdir()] == [place.name]


@pytest.mark.parametrize("failing", ["apt-get update", "pip install", "Python on the emulated cortex-a76"])
def test_an_interrupted_prefix_is_not_there(failing: str, programs: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fake_programs(monkeypatch, failing)
    with pytest.raises(UserError, match=f"{failing} failed"):
        make_prefix()
    assert not list(arm64_prefix.CACHE.iterdir())
    with pytest.raises(UserError, match="not there"):
        prefix_made()


def test_what_lacks_is_told_before_anything_is_downloaded(programs: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = fake_programs(monkeypatch)
    programs.discard("apt-get")
    with pytest.raises(UserError, match=r"lacks apt-get \(Debian: apt-get install apt\)"):
        make_prefix()
    programs.add("apt-get")
    programs.discard("qemu-aarch64")
    with pytest.raises(UserError, match="apt-get install qemu-user"):
        make_prefix()
    monkeypatch.setattr(arm64_prefix, "WHEELS", ("numpy", "no-such-library"))
    with pytest.raises(UserError, match="no-such-library is not installed here"):
        make_prefix()
    assert not ran


def test_a_program_that_fails_has_its_last_words_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="apt-get update failed with exit code 9: no more memory"):
        arm64_prefix._run("apt-get update", [sys.executable, "-c", DIES], tmp_path)


@pytest.mark.parametrize("name", EMULATED)
def test_the_emulated_runtime_answers_as_its_adapter_here(
    name: str, here: None, tflite_network: Path, onnx_network: Path, pcm: np.ndarray
) -> None:
    path = onnx_network if name.endswith("onnxruntime") else tflite_network
    expected, found = open_runtime(path, name.removeprefix("arm64-")), open_runtime(path, name)
    assert found.arena_bytes is None
    for clip in (pcm, pcm[::-1].copy()):
        assert np.array_equal(found.run(clip), expected.run(clip))
    (output, taps), (wanted, wanted_taps) = found.run_with_taps(pcm), expected.run_with_taps(pcm)
    assert np.array_equal(output, wanted)
    assert list(taps) == list(wanted_taps)
    assert all(np.array_equal(taps[tap], codes) and taps[tap].dtype == codes.dtype for tap, codes in wanted_taps.items())


def test_the_process_ends_with_its_engine(here: None, tflite_network: Path) -> None:
    engine = Arm64Engine(read_model(tflite_network), "litert-ref")
    process = engine._process
    assert process.poll() is None
    del engine
    gc.collect()
    assert process.poll() is not None


def test_what_the_runtime_refuses_is_told(here: None, tflite_graph: type[TfliteGraph], tmp_path: Path) -> None:
    g = tflite_graph()
    x, y = g.tensor("x", [1, 8], np.int8, 0.1), g.tensor("y", [1, 8], np.int8, 0.1)
    g.operator("CUSTOM", [x], [y])
    path = g.write(tmp_path / "custom.tflite", [x], [y])
    with pytest.raises(UserError, match=r"litert-ref on the emulated cortex-a72: litert-ref cannot load .*custom.tflite"):
        Arm64Engine(read_model(path), "litert-ref")


def test_a_process_that_dies_has_its_last_words_told(here: None, tflite_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm64_engine, "command", lambda *_: [sys.executable, "-c", DIES])
    with pytest.raises(UserError, match="litert-ref on the emulated cortex-a76 ended with exit code 9: no more memory"):
        Arm64Engine(read_model(tflite_network), "litert-ref", cpu="cortex-a76")
