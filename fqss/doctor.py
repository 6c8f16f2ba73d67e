"""``fqss doctor``: what is installed, what each use and each target needs and lacks, and how to get it. Imports none of it."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from edge_runtime.arm64_prefix import QEMU
from export_specs.foundation.code_version import ROOT
from export_specs.foundation.source_version import product_version
from export_specs.load import load_target, target_names
from export_specs.schema import EMULATED

RUNTIME = ("ai-edge-litert", "flatbuffers", "numpy", "pydantic", "pyyaml", "rich", "soundfile", "soxr", "typer")
TRAIN = ("torch", "lightning", "safetensors", "onnx", "onnxsim", "pyloudnorm")
JUDGE = ("onnxruntime", "tflite_micro", "jinja2", "jsonschema", "matplotlib", "pystoi")
RELEASE = ("model-signing", "pyopenssl")
RUNTIME_LIBRARY = {"onnxruntime": "onnxruntime", "tflm": "tflite_micro"}  # the others are LiteRT's
EMULATORS = ("gcc", "clang", "arm-none-eabi-gcc", "qemu-system-arm")
DEBIAN = {"gcc": "gcc", "clang": "clang", "g++": "g++", "fluidsynth": "fluidsynth", "qemu-system-arm": "qemu-system-arm", "make": "make",
          "qemu-aarch64": "qemu-user", "apt-get": "apt", "dpkg-deb": "dpkg",
          "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi"}  # fmt: skip
ONNX2TF = ROOT / ".venv-onnx2tf" / "bin" / "python"
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Check:
    """One use: what of it is missing, and what would bring it. ``lacks`` is empty where all is there."""

    use: str
    lacks: list[str]
    remedy: str

    @property
    def line(self) -> str:
        """The check in words."""
        return f"{'lacks ' + ', '.join(self.lacks) + ': ' + self.remedy if self.lacks else 'ready'}"


def checks() -> list[Check]:
    """Every use of the product, the targets among them."""
    found = [
        _libraries("run files (fqss separate, info, audit)", RUNTIME, "runtime"),
        _libraries("judge files (fqss report, bench)", (*RUNTIME, *JUDGE, "onnx"), "judge"),
        _libraries("train, export, convert (fqss deploy)", (*RUNTIME, *TRAIN, *JUDGE), "train"),
        _programs("compile training steps, twice as fast", ("g++",)),
        _python_headers(),
        _programs("emulated microcontrollers (make emulate)", (*EMULATORS, "make")),
        _arm64(),
        _soundfont(),
        _libraries("sign releases and check signatures", RELEASE, "release"),
    ]
    return found + [_target(name) for name in target_names()]


def _libraries(use: str, names: tuple[str, ...], extra: str) -> Check:
    return Check(
        use, [name for name in names if _version(name) is None], f"pip install 'fqss-deploy[{extra}]', or `make deploy` in a checkout"
    )


def _programs(use: str, names: tuple[str, ...]) -> Check:
    lacks = [name for name in names if shutil.which(name) is None]
    return Check(use, lacks, "apt-get install " + " ".join(DEBIAN[name] for name in lacks))


def _arm64() -> Check:
    qemu = next((name for name in QEMU if shutil.which(name)), QEMU[0])
    return _programs("emulated aarch64 (make emulate-arm64)", (qemu, "apt-get", "dpkg-deb"))


def _python_headers() -> Check:
    import sysconfig

    there = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return Check("headers of Python, for the same", [] if there else ["Python.h"], "apt-get install python3-dev")


def _soundfont() -> Check:
    check = _programs("render more songs (DATA of music; a small set is in the repository)", ("fluidsynth",))
    lacks = [*check.lacks, *([] if SOUNDFONT.is_file() else [SOUNDFONT.name])]
    return Check(check.use, lacks, "apt-get install fluidsynth fluid-soundfont-gm")


def _target(name: str) -> Check:
    target = load_target(name)
    use = f"target {name}"
    if target.converter.startswith("onnx2tf"):
        return Check(use, [] if ONNX2TF.is_file() else ["onnx2tf's environment"], "`make onnx2tf` in a checkout (2.6 GB, Python 3.11)")
    wanted = {RUNTIME_LIBRARY.get(runtime, "ai-edge-litert") for runtime in target.runtimes}
    found = [_libraries(use, tuple(sorted({*wanted, *TRAIN})), "train"), *([_arm64()] if {*EMULATED} & {*target.runtimes} else [])]
    lacking = [check for check in found if check.lacks]
    return Check(use, [name for check in lacking for name in check.lacks], "; ".join(check.remedy for check in lacking))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """What is installed, what each target needs and lacks, and how to get it."""
    found = checks()
    versions = {name: _version(name) for name in sorted({*RUNTIME, *TRAIN, *JUDGE})}
    machine = {
        "fqss-deploy": product_version(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
    }
    if as_json:
        typer.echo(json.dumps({"machine": machine, "libraries": versions, "checks": [asdict(check) for check in found]}, indent=1))
        return
    typer.echo(", ".join(f"{name} {value}" for name, value in machine.items()))
    typer.echo(", ".join(f"{name} {value or '—'}" for name, value in versions.items()))
    width = max(len(check.use) for check in found)
    for check in found:
        typer.echo(f"{check.use:<{width}}  {check.line}")
