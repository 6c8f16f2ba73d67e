"""Whether torch.compile can be used on this machine."""

from __future__ import annotations

import functools
import shutil
import sysconfig
from pathlib import Path


@functools.cache
def compiler_available() -> bool:
    """torch.compile needs a C++ compiler and Python's headers at run time; a Debian machine may have one without the other."""
    return shutil.which("g++") is not None and Path(sysconfig.get_path("include"), "Python.h").is_file()
