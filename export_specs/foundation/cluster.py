"""Calls of functions on the computers of a Ray cluster (``docs/cluster.md``)."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import export_specs
from export_specs.foundation.errors import UserError

CODE = str(Path(export_specs.__file__).parents[1])


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """What calls functions of modules on the cluster's computers, one call to a processor, in this process's folder.

    All computers need this code and this folder at the same paths, as a network's file system gives them. A call whose computer is lost
    is made again on another one. When this process ends, the calls end.

    Args:
        address: ``HOST:PORT`` of the cluster's head, or ``auto`` on one of its computers.

    Raises:
        UserError: Ray is not installed, or no cluster answers at the address. A call raises it too where its computer does not see the
            folder, or where it was lost again and again.
    """
    try:
        import ray
    except ImportError:
        raise UserError("a cluster needs Ray: pip install -r requirements/cluster.lock, on each of its computers") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its maker of each run
    try:
        _reach(address)
        ray.init(address, logging_level=logging.WARNING, runtime_env={"env_vars": {"PYTHONPATH": CODE}})
    except (OSError, ValueError) as error:  # a ConnectionError, that of Ray too, is an OSError
        reason = str(error).splitlines()[0]
        raise UserError(f"no Ray cluster answers at '{address}' ({reason}); `ray start --head` on its first computer begins one") from None
    mark = Path.cwd() / f".cluster-{uuid.uuid4().hex}"
    mark.touch()
    try:
        yield _OnCluster(ray, mark)
    finally:
        mark.unlink(missing_ok=True)
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and "://" not in address:
        socket.create_connection((host, int(port)), timeout=10).close()


class _OnCluster(Executor):
    def __init__(self, ray: Any, mark: Path) -> None:
        self._lost = (
            ray.exceptions.RaySystemError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
        )
        self._call = ray.remote(num_cpus=1, max_retries=2, scheduling_strategy="SPREAD")(_call)
        self._mark = mark

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        answer: Future[Any] = Future()

        def hand_on(found: Future[Any]) -> None:
            error = found.exception()
            if isinstance(error, self._lost):
                answer.set_exception(UserError(f"a computer of the cluster was lost, or its memory was full: {str(error).splitlines()[0]}"))
            elif error is not None:
                answer.set_exception(error)
            elif isinstance(found.result(), UserError):
                answer.set_exception(found.result())
            else:
                answer.set_result(found.result())

        self._call.remote(str(self._mark), function, arguments, keywords).future().add_done_callback(hand_on)
        return answer


def _call(mark: str, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """On a computer of the cluster. A user's mistake is given back, as Ray would make a traceback of an error's message."""
    if not Path(mark).is_file():
        return UserError(f"the computer {socket.gethostname()} does not see the folder {Path(mark).parent}: a cluster's computers share it")
    os.chdir(Path(mark).parent)
    try:
        return function(*arguments, **keywords)
    except UserError as error:
        return error
