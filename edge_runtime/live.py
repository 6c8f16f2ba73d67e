"""Live separation from one pipe to another."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from edge_runtime.separator import Separator
from edge_runtime.signature import Pcm
from export_specs.foundation.errors import UserError


def run_live(separator: Separator, source: BinaryIO, sink: BinaryIO, step: int, chosen: int | None = None) -> None:
    """Separate int16 samples, little-endian, from one pipe to another, until the one ends or nobody reads the other.

    Args:
        separator: of mono waveforms.
        step: samples that are waited for at once.
        chosen: the source to be written, from 1; None for all of them, interleaved.

    Raises:
        UserError: the samples end within one.
    """

    def write(separated: Pcm) -> None:
        if separated.shape[1]:
            rows = separated if chosen is None else separated[chosen - 1 : chosen]
            sink.write(np.ascontiguousarray(rows.T).astype("<i2").tobytes())
            sink.flush()

    try:
        while piece := source.read(2 * step):
            if len(piece) % 2:
                raise UserError("the samples end within one: they must be int16, two bytes each")
            write(separator.push(np.frombuffer(piece, "<i2").astype(np.int16)))
        write(separator.finish())
    except BrokenPipeError:
        return
