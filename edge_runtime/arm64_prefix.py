"""The aarch64 Python that emulated runtimes run in: arm64 packages of Debian, and wheels of the versions that are installed here.

They are unpacked into a folder once and not installed. qemu-user runs the programs in it, and looks there first for every path that
they open; what it takes for /proc/cpuinfo is a file of ours, because the runtimes choose kernels by the processor that they find there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from export_specs.foundation.child_process import run_child
from export_specs.foundation.code_version import ROOT
from export_specs.foundation.errors import UserError, choice_error, run_command_line
from export_specs.foundation.progress import at_work, say

CACHE = ROOT / ".cache" / "arm64"
PACKAGES = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libcrypt1", "libgcc-s1", "libstdc++6",
            "libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libssl3", "libuuid1", "zlib1g")  # fmt: skip
# LiteRT and ONNX Runtime, and what edge_runtime and export_specs import besides
WHEELS = ("ai-edge-litert", "onnxruntime", "onnx", "numpy", "flatbuffers", "protobuf", "ml_dtypes", "pydantic", "pydantic_core",
          "annotated-types", "typing_extensions", "typing-inspection", "PyYAML")  # fmt: skip
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
QEMU = ("qemu-aarch64", "qemu-aarch64-static")
# /proc/cpuinfo of a Raspberry Pi 4 and 5, of one core. `-cpu max` has no place here: XNNPACK computes garbage on it (its SME kernels)
PROCESSORS = {
    "cortex-a72": "fp asimd evtstrm crc32 cpuid|0x0|0xd08|3",
    "cortex-a76": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp|0x4|0xd0b|1",
}
CPUINFO = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: {}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: {}
CPU part\t: {}
CPU revision\t: {}

"""
_MEGABYTE = 1e6


def command(prefix: Path, cpu: str, arguments: Sequence[str]) -> list[str]:
    """The command line of the emulated Python on a processor; run it with :func:`variables` alone.

    Raises:
        UserError: there is no such processor, or no emulator here.
    """
    if cpu not in PROCESSORS:
        raise choice_error("emulated processor", cpu, list(PROCESSORS))
    emulator = next((found for name in QEMU if (found := shutil.which(name))), None)
    if emulator is None:
        raise UserError("no qemu-aarch64 here, which runs aarch64 programs: apt-get install qemu-user")
    return [emulator, "-cpu", cpu, "-L", str(prefix / cpu), str(prefix / "root" / "usr" / "bin" / "python3.11"), "-P", *arguments]


def variables(prefix: Path) -> dict[str, str]:
    """The environment variables of the emulated Python: it finds the aarch64 libraries, and this code."""
    path = os.pathsep.join(map(str, (prefix / "site", ROOT)))
    return {"PYTHONHOME": str(prefix / "root" / "usr"), "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"}


def prefix_place() -> Path:
    """Where the prefix for the versions that are installed here lies, made or not.

    Raises:
        UserError: a library that it needs a wheel of is not installed here.
    """
    told = (*PACKAGES, *_wheels(), CPUINFO, *PROCESSORS, *PROCESSORS.values())
    return CACHE / hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def prefix_made() -> Path:
    """The folder of the prefix.

    Raises:
        UserError: it is not made yet.
    """
    place = prefix_place()
    if not place.is_dir():
        raise UserError(f"the emulated aarch64 runtimes are not there ({place}): `make arm64` in a checkout downloads them")
    return place


def make_prefix() -> Path:
    """The folder of the prefix, made where it is not: whole or not at all.

    Raises:
        UserError: a program or the network is lacking, or what was made does not run.
    """
    place = prefix_place()
    if place.is_dir():
        return place
    lacking = [f"{program} (Debian: apt-get install {package})"
               for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")) if shutil.which(program) is None]  # fmt: skip
    if lacking:
        raise UserError(f"to download aarch64 programs this machine lacks {', '.join(lacking)}")
    command(place, next(iter(PROCESSORS)), [])  # the emulator is there
    say(f"emulated aarch64: {len(PACKAGES)} packages of Debian 12 and {len(WHEELS)} wheels are downloaded, about 100 MB, once")
    start = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".") as name, at_work("emulated aarch64"):
        folder = Path(name, "prefix")
        downloaded = _unpack_packages(Path(name), folder / "root") + _unpack_wheels(Path(name), folder / "site")
        for cpu, facts in PROCESSORS.items():
            (folder / cpu / "proc").mkdir(parents=True)
            (folder / cpu / "proc" / "cpuinfo").write_text(CPUINFO.format(*facts.split("|")))
            for part in ("lib", "usr"):
                (folder / cpu / part).symlink_to(Path("..", "root", part))
            check = "import numpy, onnxruntime, ai_edge_litert.interpreter"
            _run(f"Python on the emulated {cpu}", command(folder, cpu, ["-c", check]), folder, env=variables(folder))
        if not place.is_dir():  # another process may have been faster
            folder.rename(place)
    say(f"emulated aarch64: {downloaded / _MEGABYTE:.0f} MB downloaded and unpacked in {time.monotonic() - start:.0f} s, in {place}")
    return place


def _wheels() -> list[str]:
    try:
        return [f"{name}=={version(name)}" for name in WHEELS]
    except PackageNotFoundError as error:
        raise UserError(f"{error.name} is not installed here, which runs emulated too: pip install 'fqss-deploy[judge]'") from error


def _unpack_packages(folder: Path, root: Path) -> int:
    """Download packages from where the system has its own, with lists apart from the system's, and unpack them. Gives their bytes."""
    lists, packages = folder / "apt", folder / "packages"
    for part in (lists / "lists" / "partial", lists / "archives" / "partial", packages, root):
        part.mkdir(parents=True)
    (lists / "status").touch()
    settings = {"Dir::State": lists, "Dir::State::status": lists / "status", "Dir::Cache": lists, "APT::Sandbox::User": "root",
                "APT::Architecture": "arm64", "APT::Architectures": "arm64"}  # fmt: skip
    apt = ["apt-get", "-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    _run("apt-get update", [*apt, "update"], packages)
    _run("apt-get download", [*apt, "download", *PACKAGES], packages)
    found = sorted(packages.glob("*.deb"))
    for package in found:
        _run(f"dpkg-deb -x {package.name}", ["dpkg-deb", "-x", str(package), str(root)], packages)
    return sum(package.stat().st_size for package in found)


def _unpack_wheels(folder: Path, site: Path) -> int:
    """Download aarch64 wheels of the versions that are installed here, and unpack them. Gives their bytes."""
    wheels = folder / "wheels"
    wheels.mkdir()
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp"]
    pip = [sys.executable, "-m", "pip"]
    chosen = [*options, *(f"--platform={name}" for name in PLATFORMS)]
    _run("pip download", [*pip, "download", *chosen, "--dest", str(wheels), *_wheels()], wheels)
    found = sorted(wheels.glob("*.whl"))
    _run("pip install", [*pip, "install", *chosen, "--target", str(site), *map(str, found)], wheels)
    return sum(wheel.stat().st_size for wheel in found)


def _run(what: str, command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> None:
    done = run_child(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        said = "; ".join([line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()][-3:])
        raise UserError(f"{what} failed with exit code {done.returncode}: {said or 'it said nothing'}")


def main() -> None:
    """Make the prefix and print its folder."""
    sys.stdout.write(f"{make_prefix()}\n")


if __name__ == "__main__":
    run_command_line(main)
