"""Resolve ``NAME.in`` into ``NAME.lock``: every package, direct or not, with ``==``. Run by ``make lock``; needs the network.

    python requirements/lock.py main|test|train|release|docs|onnx2tf

Local version suffixes (``+cpu``) are left out: ``torch==2.13.0`` matches whichever build the machine's package index offers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
WITHOUT_DEPENDENCIES = ("asteroid==", "asteroid-filterbanks==", "speechbrain==", "demucs==", "museval==")
BESIDE = {"test": ("main",), "train": ("main",), "release": ("main", "test"), "docs": ("main", "test")}  # locks whose versions they keep


def main(name: str) -> None:
    """Write the lock file of one environment."""
    lines = [line.split("#")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines()]
    wanted = [line for line in lines if line]
    alone = [line for line in wanted if line.startswith(WITHOUT_DEPENDENCIES)]
    pins = [option for other in BESIDE.get(name, ()) for option in ("--constraint", str(FOLDER / f"{other}.lock"))]
    locked = resolve([line for line in wanted if line not in alone], pins) + alone
    if name in BESIDE:  # main.lock is installed there
        locked = [line for line in locked if line not in (FOLDER / "main.lock").read_text().splitlines()]
    text = f"# Made by `make lock` from {name}.in on Python 3.11; do not edit.\n" + "\n".join(sorted(locked, key=str.lower)) + "\n"
    (FOLDER / f"{name}.lock").write_text(text)


def resolve(wanted: list[str], options: list[str]) -> list[str]:
    """``name==version`` of everything pip would install into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([*command, *options, *wanted], check=True)
        packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    return [f"{package['name']}=={package['version'].split('+')[0]}" for package in packages]


if __name__ == "__main__":
    main(sys.argv[1])
