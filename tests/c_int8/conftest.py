"""The kernels, compiled once."""

from __future__ import annotations

import shutil

import pytest

from tests.c_int8.kernel_library import KernelLibrary, compile_kernels
from tests.eager import eager

__all__ = ["eager"]


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler: install gcc (Debian: apt-get install gcc)")
    return found


@pytest.fixture(scope="session")
def library(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> KernelLibrary:
    return compile_kernels(compiler, tmp_path_factory.mktemp("kernels"))
