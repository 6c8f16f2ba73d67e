"""The runs of a study, over processes or computers. Each has one thread, so that results do not depend on how many there are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import handed_over
from pipeline.study.plan import Grid

BUILD = Path("build")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Runs = Sequence[tuple[str, int]]  # arm and seed


def make_runs(grid: Grid, runs: Runs, executor: Executor) -> None:
    """Make every run, as many at a time as the executor takes; what is done already is not done again.

    Raises:
        UserError: a run failed. The others go on and are kept.
    """
    with handed_over():
        codes = list(executor.map(partial(_in_process, grid), *zip(*runs, strict=True)))
    failed = [f"{arm} (seed {seed})" for (arm, seed), code in zip(runs, codes, strict=True) if code]
    if failed:
        raise UserError(f"{len(failed)} of {len(runs)} runs failed, see above: {', '.join(failed)}; the same command goes on with them")


def _in_process(grid: Grid, arm: str, seed: int) -> int:
    command = [sys.executable, "-m", "pipeline.study.worker", grid.model_dump_json(), json.dumps([[arm, seed]])]
    return run_child(command, env={**os.environ, **ONE_THREAD}).returncode
