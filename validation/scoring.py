"""What is computed of many mixtures, on all processors or computers: metrics take longer than most runtimes do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar

from export_specs.foundation.child_process import process_pool
from export_specs.foundation.cluster import cluster

T = TypeVar("T")


class Scorer:
    """What calls functions of modules, here, in other processes or on other computers."""

    def __init__(self, pool: Executor | None) -> None:
        self._pool = pool

    def map(self, function: Callable[..., T], jobs: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """What the function gives for each job, its arguments; in their order.

        Raises:
            UserError: what the cluster says (:func:`export_specs.foundation.cluster.cluster`).
        """
        if self._pool is None:
            return (function(*job) for job in jobs)
        futures = [self._pool.submit(function, *job) for job in jobs]
        return (future.result() for future in futures)


@contextmanager
def scorer(workers: int | None, address: str = "") -> Iterator[Scorer]:
    """A scorer with so many processes, by default one for each processor; with one it is this process.

    ``address``: that of a Ray cluster, whose computers score instead.

    Raises:
        UserError: a process died, or no cluster answers.
    """
    if address:
        with cluster(address) as computers:
            yield Scorer(computers)
        return
    count = workers or len(os.sched_getaffinity(0))
    if count == 1:
        yield Scorer(None)
        return
    with process_pool(count, "scored mixtures") as pool:
        yield Scorer(pool)
