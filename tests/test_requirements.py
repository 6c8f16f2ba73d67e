"""The locks: what is asked for is in them, with digests, once; torch is not (docs/adr/0045-three-pythons.md)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(path.stem for path in REQUIREMENTS.glob("*.lock"))
ASKED = {name: (name,) for name in LOCKS} | {"judge": ("runtime", "judge")}
SERVED = re.findall(r"3\.\d+", next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("PYTHONS :=")))


def lines_of(name: str) -> list[Requirement]:
    """The requirements of a ``.in`` or ``.lock`` file, without digests."""
    lines = (line.split(" #")[0].strip(" \\\n") for line in (REQUIREMENTS / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))]


def pins(name: str, python: str) -> dict[str, str]:
    """Version by name that a lock installs on a Python of Linux."""
    here = {"python_full_version": f"{python}.9", "python_version": python, "sys_platform": "linux", "platform_machine": "x86_64"}
    installed = [line for line in lines_of(name) if not line.marker or line.marker.evaluate(here)]
    chosen = [(canonicalize_name(line.name), str(line.specifier)) for line in installed]
    assert len(chosen) == len(dict(chosen)), f"{name} has two versions of one library on Python {python}"
    return {key: version.removeprefix("==") for key, version in chosen}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_is_asked_for_with_digests(name: str) -> None:
    text = re.sub(r"#.*\n", "", (REQUIREMENTS / f"{name}.lock").read_text())
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"\S+==\S+ (;.* )?\\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+$", entry) for entry in entries)
    for python in ["3.11"] if name == "onnx2tf" else SERVED:
        found = pins(f"{name}.lock", python) | (pins("main.lock", python) if name not in ("judge", "onnx2tf") else {})
        for wanted in (line for source in ASKED[name] for line in lines_of(f"{source}.in")):
            assert wanted.specifier.contains(found[canonicalize_name(wanted.name)], prereleases=True), f"{wanted} on {python}"


@pytest.mark.parametrize("python", SERVED)
def test_what_is_installed_together_agrees(python: str) -> None:
    together = ("test", "references", "release", "docs", "train", "cluster", "judge", "main")
    found = [item for name in together for item in pins(f"{name}.lock", python).items()]
    assert len(set(found)) == len(dict(found)), sorted(set(found) - set(dict(found).items()))


def test_torch_is_in_no_lock_nor_what_only_its_cuda_builds_need() -> None:
    (torch,) = lines_of("torch.in")
    assert torch.name == "torch" and str(torch.specifier).startswith("==")
    locked = {name for lock in LOCKS for name in pins(f"{lock}.lock", "3.13")}
    assert not [name for name in locked if name == "torch" or name.startswith(("nvidia-", "cuda-", "triton"))]


def test_uv_is_told_what_this_torch_needs() -> None:
    (told,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["dependency-metadata"]
    assert [Requirement(f"{told['name']}=={told['version']}")] == lines_of("torch.in")
    assert {canonicalize_name(Requirement(line).name) for line in told["requires-dist"]} <= pins("main.lock", "3.13").keys()


def test_every_place_names_the_same_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    minors = [f"3.{minor}" for minor in range(6, 20)]
    assert [python for python in minors if SpecifierSet(project["requires-python"]).contains(f"{python}.4")] == SERVED
    told = f"{', '.join(SERVED[:-1])} or {SERVED[-1]}"
    for name in ("Makefile", "setup.py", "README.md", "docs/quick-start.md"):
        assert f"Python {told}" in (ROOT / name).read_text(), name
