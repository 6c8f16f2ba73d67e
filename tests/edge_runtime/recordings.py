"""Recordings and what is restored of them, at once instead of block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.recording import Recording, open_recording
from edge_runtime.source_files import Restorer


def measured(path: Path, *arguments: Any, **named: Any) -> Recording:
    """A recording that is a file, so that it may be read when it is no longer open."""
    with open_recording(path, *arguments, **named) as recording:
        return recording


def restored(separated: NDArray[np.int16], recording: Recording) -> NDArray[np.float64]:
    restorer = Restorer(recording)
    return np.concatenate([restorer.push(separated), restorer.finish()], axis=-1)
