"""Writes a flatbuffer in which equal parts lie once: strings, vectors and the tables that :class:`Once` holds.

A network repeats itself: a thousand tensors have a few dozen shapes, grids and options between them, and every zero point of a weight is 0.
Readers follow offsets, so they do not see whether two of them are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import flatbuffers
import numpy as np


class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """A flatbuffers builder that gives equal strings and equal numpy vectors the same offset."""

    def __init__(self) -> None:
        super().__init__(1 << 16)
        self._offsets: dict[Hashable, int] = {}

    def once(self, key: Hashable, write: Callable[[], int]) -> int:
        """The offset of what ``write`` writes, written at the first call with this ``key``."""
        if key not in self._offsets:
            self._offsets[key] = write()
        return self._offsets[key]

    def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:
        """Write a string, or find it."""
        content = s.encode(encoding, errors) if isinstance(s, str) else bytes(s)
        return self.once(content, lambda: super(SharingBuilder, self).CreateString(content))

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        """Write a vector of numbers, or find it."""
        return self.once((x.dtype.str, x.tobytes()), lambda: super(SharingBuilder, self).CreateNumpyVector(x))


class Once:
    """A table of the object API that is written once for all that are equal to it; stands in for the table in ``Pack``."""

    def __init__(self, table: Any) -> None:
        self.table = table

    @property
    def key(self) -> Hashable:
        """What two equal tables have in common: their type and their fields."""
        return type(self.table).__name__, tuple((name, _hashable(value)) for name, value in vars(self.table).items())

    def Pack(self, builder: SharingBuilder) -> int:
        """Write the table, or find it (called by ``ModelT.Pack``)."""
        return builder.once(self.key, lambda: int(self.table.Pack(builder)))


def _hashable(value: Any) -> str:
    return f"{value.dtype.str} {value.tobytes().hex()}" if isinstance(value, np.ndarray) else repr(value)
