"""What the judgement ran on: versions, system, processor."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from export_specs.schema import EMULATION

_PACKAGES = ("onnx", "numpy", "scipy", "pystoi")  # of every judgement
_RUNTIMES = {"litert": "ai-edge-litert", "tflm": "tflite-micro", "onnxruntime": "onnxruntime"}


def environment(workers: int | None, runtimes: Iterable[str]) -> dict[str, str]:
    """The facts by name. Of runtimes, the versions of those alone that ran.

    Args:
        workers: None: one process for each core that may be used.
        runtimes: names of those that ran, say ``litert-ref``.
    """
    ran = sorted({_RUNTIMES[name.removeprefix(EMULATION).partition("-")[0]] for name in runtimes})
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "processes": f"{workers or len(os.sched_getaffinity(0))}, one thread each",
        **{name: version(name) for name in (*ran, *_PACKAGES)},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
