"""A runtime in a process of its own: ``python -m edge_runtime.engine_process DESCRIPTOR`` answers over that inherited connection.

It is sent (file, runtime, threads), once, then (tapped, input tensors) again and again, and answers each message with (True, what the
engine gave) or (False, what was wrong).
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from edge_runtime.runtime import Engine, open_engine
from export_specs.foundation.errors import UserError


def serve(connection: Connection) -> None:
    """Answer until the other end is closed."""
    engine: Engine | None = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        try:
            if engine is None:
                engine = open_engine(*message)
                connection.send((True, None))
            else:
                tapped, tensors = message
                connection.send((True, engine.invoke_with_taps(tensors) if tapped else engine.invoke(tensors)))
        except UserError as error:
            connection.send((False, str(error)))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
