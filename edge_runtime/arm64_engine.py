"""LiteRT and ONNX Runtime on an emulated aarch64 processor: the same adapters as on this computer, in a process under qemu-user."""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from edge_runtime.arm64_prefix import PROCESSORS, command, prefix_made, variables
from edge_runtime.engine_process import serve
from edge_runtime.model_file import Array, ModelFile
from export_specs.foundation.child_process import end_with_parent
from export_specs.foundation.errors import UserError

PROCESSOR = next(iter(PROCESSORS))
_SAID = 500  # bytes of a dead process's last words


class Arm64Engine:
    """A file in the runtime ``kernels`` (litert-ref, …) on the emulated processor ``cpu``; the process ends with this object.

    Raises:
        UserError: emulator or prefix are not there, or the runtime does not take the file; of a process that dies, what it said last.
    """

    arena_bytes = None

    def __init__(self, file: ModelFile, kernels: str, threads: int = 1, cpu: str = PROCESSOR) -> None:
        self._what = f"{kernels} on the emulated {cpu}"
        prefix = prefix_made()
        program = command(prefix, cpu, ["-m", serve.__module__])
        self._said = os.memfd_create("what the process says")
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*program, str(theirs.fileno())],
                env=variables(prefix),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        weakref.finalize(self, _end, self._process, self._connection, self._said)
        self._ask((file, kernels, threads))

    def invoke(self, tensors: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs."""
        return list(self._ask((False, list(tensors))))

    def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
        """The outputs and every computed integer tensor, as the adapter of these kernels gives them."""
        outputs, taps = self._ask((True, list(tensors)))
        return outputs, taps

    def _ask(self, message: tuple[Any, ...]) -> Any:
        try:
            self._connection.send(message)
            fine, answer = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            code, length = self._process.wait(), os.fstat(self._said).st_size
            said = os.pread(self._said, _SAID, max(0, length - _SAID)).decode(errors="replace").strip()
            raise UserError(f"{self._what} ended with exit code {code}: {said or 'it said nothing'}") from error
        if not fine:
            raise UserError(f"{self._what}: {answer}")
        return answer


def _end(process: subprocess.Popen[bytes], connection: Connection, said: int) -> None:
    connection.close()
    process.kill()
    process.wait()
    os.close(said)
