"""What the judgement ran on: versions, system, processor."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("ai-edge-litert", "tflite-micro", "onnxruntime", "onnx", "numpy", "scipy", "pystoi")


def environment(workers: int | None) -> dict[str, str]:
    """The facts by name; ``workers`` None: one process for each core that may be used."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "processes": f"{workers or len(os.sched_getaffinity(0))}, one thread each",
        **{name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
