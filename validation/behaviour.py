"""How the shipped file itself behaves in a runtime: what it puts out for silence, an impulse, a clip and full scale.

The file is run, not the stitcher around it, which answers silence without running anything.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from edge_runtime.runtime import open_runtime
from export_specs.foundation.errors import UserError
from validation.record import Record

ZEROS, IMPULSE, CLIP, FULL_SCALE = "zeros", "one sample", "a clip", "full scale"
_SEED = 7


class RuntimeBehaviour(Record):
    """One runtime. ``problem`` says why the file does not run there, None where it does.

    ``peaks``: by what went in, the largest size of an output sample, in codes of int16. ``repeatable``: the same input gives the same
    output after other inputs have been run. ``arena_bytes`` is TFLM's.
    """

    runtime: str
    problem: str | None
    peaks: dict[str, int] = Field(default={})
    repeatable: bool | None = None
    arena_bytes: int | None = None


def stimuli(clip: npt.NDArray[np.int16]) -> dict[str, npt.NDArray[np.int16]]:
    """The segments that every runtime is given, of the shape of ``clip``, [T] or [A, T]: nothing, one loud sample in the middle, the clip,
    and noise that jumps between both ends of int16."""
    impulse = np.zeros_like(clip)
    impulse[..., clip.shape[-1] // 2] = 32767
    square = np.where(np.random.default_rng(_SEED).integers(0, 2, clip.shape) == 1, 32767, -32768).astype(np.int16)
    return {ZEROS: np.zeros_like(clip), IMPULSE: impulse, CLIP: clip, FULL_SCALE: square}


def observe(path: Path | None, runtime: str, clip: npt.NDArray[np.int16], sample_rate: int) -> RuntimeBehaviour:
    """Run a file in one runtime on the :func:`stimuli`; ``path`` None: there is no file for this runtime, which is a problem too."""
    if path is None:
        return RuntimeBehaviour(runtime=runtime, problem="there is no file for it: judge.json does not name one")
    try:
        opened = open_runtime(path, runtime, sample_rate=sample_rate)
        given = stimuli(clip)
        outputs = {name: opened.run(segment) for name, segment in given.items()}
        again = opened.run(given[IMPULSE])
    except UserError as error:
        return RuntimeBehaviour(runtime=runtime, problem=str(error))
    return RuntimeBehaviour(
        runtime=runtime,
        problem=None,
        peaks={name: int(np.abs(pcm.astype(np.int32)).max()) for name, pcm in outputs.items()},
        repeatable=np.array_equal(outputs[IMPULSE], again),
        arena_bytes=opened.arena_bytes,
    )
