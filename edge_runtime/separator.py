"""What separates a stream, whatever the model file: hop by hop (``stream.py``), or by segments that are joined (``segments.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from edge_runtime.signature import Pcm


class Separator(Protocol):
    """Takes samples as they come and gives what is separated of them, in order; from the first to the last, and each once."""

    @property
    def latency_samples(self) -> int:
        """From the moment a sample begins until what is separated of it has come out, at most; computing takes no time."""

    def push(self, pcm: Pcm) -> Pcm:
        """Take int16 samples [n] or [A, n]; give the int16 samples [S, m] or [S, A, m] that are ready (m may be 0)."""

    def finish(self) -> Pcm:
        """What is still due. The separator is as new afterwards."""

    def reset(self) -> None:
        """Forget the stream: the next sample is the first of another."""


def pushed(separator: Separator, blocks: Iterable[Pcm], step: int) -> Iterator[Pcm]:
    """What a separator gives for a recording that comes in blocks, int16 [n] or [A, n], which are pushed ``step`` samples at a time."""
    for block in blocks:
        for start in range(0, block.shape[-1], step):
            yield separator.push(block[..., start : start + step])
    yield separator.finish()
