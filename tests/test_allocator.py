from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import torch
from pipeline.allocator import keep_freed_memory
def heap():
    for line in open("/proc/self/maps"):
        if line.endswith("[heap]\\n"):
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            return last - first
def used_and_freed():
    torch.ones(1 << 26)  # 256 MiB
    return heap()
before = used_and_freed()
keep_freed_memory()
print(before, used_and_freed())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
def test_what_a_tensor_has_left_stays_with_the_process() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after = map(int, found.stdout.split())
    assert before < 1 << 28 <= after
