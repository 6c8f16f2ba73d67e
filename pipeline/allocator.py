"""How C's allocator treats what torch frees."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Have this process reuse memory that tensors have left, up to 2 GiB, where glibc would give it back and ask again.

    Of tensors above 32 MiB it does so by default every time, and the kernel clears each page anew: a third of the time of a forward pass.
    Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST)
        mallopt(_TRIM_THRESHOLD, LARGEST)
