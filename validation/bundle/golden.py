"""``python -m validation.bundle.golden FOLDER``: the golden clips through a bundle's file, in another process: a bad file may crash it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from edge_runtime.model_file import read_model
from edge_runtime.runtime import open_runtime
from edge_runtime.signature import Pcm
from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError, run_command_line

MODEL, VECTORS = "model.tflite", "golden_vectors.npz"
RUNTIME = "litert-ref"
TIMEOUT = 600  # seconds


def golden_check(folder: Path) -> tuple[str, str]:
    """What the clips came to, in words, and what is wrong with that; "" for nothing."""
    if not (folder / MODEL).is_file() or not (folder / VECTORS).is_file():
        return f"not run: without {MODEL} and {VECTORS}", ""
    if any("float" in tensor.dtype for tensor in read_model(folder / MODEL).activations):
        return f"not run: {MODEL} computes in float, which is not the same everywhere", ""
    try:
        done = run_child([sys.executable, "-m", "validation.bundle.golden", str(folder)], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"not finished after {TIMEOUT} s", f"{MODEL} takes too long for the golden clips"
    if done.returncode:
        said = "; ".join([line.strip() for line in done.stderr.splitlines() if line.strip()][-2:])[:300]
        return f"exit code {done.returncode}", f"{MODEL} does not run on the golden clips: {said.removeprefix('error: ')}"
    unlike: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    wrong = [f"clip {clip} in {count} samples" for clip, count in unlike.items() if count]
    words = f"{len(unlike)} clips on {RUNTIME}: {len(unlike) - len(wrong)} as they should be, sample for sample"
    return words, f"{MODEL} does not give what {VECTORS} says: {', '.join(wrong)}" if wrong else ""


def unlike_golden(folder: Path) -> dict[str, int]:
    """Of each golden clip, how many output samples of the file differ from those in the vectors.

    Raises:
        UserError: the file or the vectors cannot be read, or there are no clips.
    """
    runtime = open_runtime(folder / MODEL, RUNTIME)
    try:
        with np.load(folder / VECTORS, allow_pickle=False) as vectors:
            clips = {name.removeprefix("input_"): (vectors[name], vectors[name.replace("in", "out", 1)])
                     for name in vectors.files if name.startswith("input_")}  # fmt: skip
        found = {number: _differing(runtime.run(given), wanted) for number, (given, wanted) in clips.items()}
    except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error, NotImplementedError, SyntaxError) as error:  # of a damaged zip
        raise UserError(f"{VECTORS} is no file of golden vectors for this model ({error})") from error
    if not found:
        raise UserError(f"{VECTORS} has no clips")
    return found


def _differing(found: Pcm, wanted: npt.NDArray[np.generic]) -> int:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise ValueError(f"{list(found.shape)} {found.dtype} instead of {list(wanted.shape)} {wanted.dtype}")
    return int(np.count_nonzero(found != wanted))


if __name__ == "__main__":
    run_command_line(lambda: sys.stdout.write(f"{json.dumps(unlike_golden(Path(sys.argv[1])))}\n"))
