"""TFLite Micro on the host: the kernels of a microcontroller, in an arena that is grown until the model fits."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from tflite_micro.python.tflite_micro.runtime import Interpreter, InterpreterConfig

from edge_runtime.model_file import Array, ModelFile, TensorInfo
from edge_runtime.native_messages import captured_stderr
from edge_runtime.tflite_file import as_in_onnx, with_outputs
from export_specs.foundation.errors import UserError

_SPARE_BYTES = 1 << 20
_BYTES_PER_TENSOR = 2048
_LARGEST_ARENA = (1 << 31) - 1  # beyond it the runtime crashes
_INFO, _DEVICE_INFO = 32, 24  # bytes of an AllocationInfo, of every tensor and scratch buffer while memory is planned
_PLANNED = 40  # bytes that the greedy planner takes for each buffer it places
_SCRATCH_REQUEST = 12  # bytes of a ScratchBufferRequest; there is room for twelve more than are made
_WITH_SCRATCH = frozenset(
    ["AVERAGE_POOL_2D", "BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "SOFTMAX", "TRANSPOSE_CONV"]
)  # operators whose kernels ask for a scratch buffer in one library of kernels or another
_NARROWER_TENSOR = 12  # bytes of a TfLiteEvalTensor: two pointers and their padding
_NARROWER_OPERATOR = 32  # bytes of a NodeAndRegistration: seven pointers and their padding
_TAPPED_BYTES = 1 << 28  # of tensors that one run keeps


class TflmEngine:
    """A TFLite file in TFLite Micro."""

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._interpreter = self._open(file.content)
        self._tapped: Interpreter | None = None
        self._groups = _groups([tensor for tensor in file.activations if tensor.is_integer])
        with captured_stderr() as messages:
            self._interpreter.print_allocations()
        found = [re.search(rf"Arena allocation {part} (\d+) bytes", messages[0]) for part in ("head", "tail")]
        self._head_and_tail = [int(part.group(1)) for part in found if part] if all(found) else None
        late = re.findall(r"'Persistent TfLiteTensor (?:quantization )?data' used (\d+) bytes", messages[0])
        self._after_planning = sum(map(int, late))  # what describes inputs and outputs is made last

    @property
    def arena_bytes(self) -> int | None:
        """Bytes of the arena that the file needs on this computer. None where TFLM does not tell.

        That is what is in use, or what loading takes if it is more: TFLM plans the memory of activations in what permanent data leave
        of the arena, so where the activations are few, as in a file of one step, the plan needs more than they do.
        """
        return self._needed(0, _INFO)

    @property
    def device_arena_bytes(self) -> int | None:
        """The same on a 32-bit device, at most: pointers in what describes tensors and operators are narrower there."""
        return self._needed(_NARROWER_TENSOR * self._file.dtypes.total() + _NARROWER_OPERATOR * self._file.ops.total(), _DEVICE_INFO)

    def _needed(self, narrower: int, info: int) -> int | None:
        if self._head_and_tail is None:
            return None
        head, tail = self._head_and_tail
        scratch = sum(count for operator, count in self._file.ops.items() if operator in _WITH_SCRATCH)
        planning = info * (self._file.dtypes.total() + scratch) + _PLANNED * (len(self._file.activations) + scratch)
        return tail - narrower + max(head, planning + _SCRATCH_REQUEST * (scratch + 12) - self._after_planning)

    def invoke(self, tensors: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs."""
        self._invoke(self._interpreter, tensors)
        return [np.array(self._interpreter.get_output(place)) for place in range(len(self._file.outputs))]

    def invoke_with_taps(self, tensors: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
        """The outputs and every computed integer tensor.

        They come from copies of the file that declare them as outputs, a group of tensors in each run. TFLM's own way to preserve
        all tensors takes 1,024 at most, and memory for all of them at once.
        """
        taps: dict[str, Array] = {}
        for group in self._groups:
            interpreter = self._tapped or self._open(with_outputs(self._file.content, [tap.index for tap in group]))
            self._tapped = interpreter if len(self._groups) == 1 else None
            self._invoke(interpreter, tensors)
            taps |= {tap.name: as_in_onnx(np.array(interpreter.get_output(place)), tap.layout) for place, tap in enumerate(group)}
        return self.invoke(tensors), taps

    def _invoke(self, interpreter: Interpreter, tensors: Sequence[Array]) -> None:
        with captured_stderr() as messages:
            try:
                for place, tensor in enumerate(tensors):
                    interpreter.set_input(tensor, place)
                interpreter.invoke()
                failure = None
            except RuntimeError as error:
                failure = error
        if failure is not None:
            raise UserError(f"TFLM failed on {self._file.path}: {messages[0].strip() or failure}") from failure

    def _open(self, content: bytes) -> Interpreter:
        """Double the arena, from a generous estimate, for as long as the runtime complains of memory.

        The estimate is meant to suffice at once, because the runtime may crash instead of complaining when an arena is a little
        too small; what is not used of it is never touched.
        """
        file = self._file
        tensors = sum(tensor.nbytes for tensor in file.activations)
        if file.largest_node_bytes > _LARGEST_ARENA:
            needed = f"the tensors of one operator take {file.largest_node_bytes} bytes"
            raise UserError(f"TFLM cannot load {file.path}: {needed}, more than the {_LARGEST_ARENA} that an arena may have")
        arena = _SPARE_BYTES + 2 * tensors + 4 * file.largest_node_bytes + _BYTES_PER_TENSOR * file.dtypes.total()
        while True:
            arena = min(arena, _LARGEST_ARENA)
            with captured_stderr() as messages:
                try:
                    return Interpreter.from_bytes(content, arena_size=arena, intrepreter_config=InterpreterConfig.kAllocationRecording)
                except (RuntimeError, ValueError, MemoryError, TypeError) as error:
                    failure = error
            lacks_memory = re.search(r"allocate|resize|missing", messages[0], re.IGNORECASE) and "Didn't find op" not in messages[0]
            if not lacks_memory or arena == _LARGEST_ARENA:
                raise UserError(f"TFLM cannot load {file.path}: {messages[0].strip() or failure}") from failure
            arena *= 2


def _groups(tensors: Sequence[TensorInfo]) -> list[list[TensorInfo]]:
    """The tensors in their order, in groups of at most ``_TAPPED_BYTES``; a larger tensor is a group of its own."""
    groups: list[list[TensorInfo]] = []
    room = 0
    for tensor in tensors:
        if not groups or tensor.nbytes > room:
            groups.append([])
            room = _TAPPED_BYTES
        groups[-1].append(tensor)
        room -= tensor.nbytes
    return groups
