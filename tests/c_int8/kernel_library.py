"""The C kernels as a library of the host, and programs run in it without writing C: one compilation serves all tests."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.arena import ALIGNMENT
from pipeline.package.c_int8.flatbuffer_reader import read_tflite
from pipeline.package.c_int8.golden import ReferenceKernels
from pipeline.package.c_int8.layout import Layout, PlacedStep, lay_out
from pipeline.package.c_int8.lowering import lower_model
from pipeline.package.c_int8.ops import OPS
from pipeline.package.c_int8.package import KERNELS
from pipeline.package.c_int8.program import Constant, Field, Parameters, Pointer

NONE = -(2**31)
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")


class _Step(ctypes.Structure):
    _fields_ = [("kernel", ctypes.c_void_p), ("parameters", ctypes.c_void_p)] + [
        (name, ctypes.c_int32) for name in ("a", "b", "c", "y", "s")
    ]


class _Program(ctypes.Structure):
    _fields_ = [("steps", ctypes.POINTER(_Step)), ("count", ctypes.c_int32), ("constants", ctypes.POINTER(ctypes.c_void_p))]


def compile_kernels(compiler: str, folder: Path) -> KernelLibrary:
    path = folder / "kernels.so"
    sources = sorted(str(source) for source in KERNELS.glob("*.c"))
    subprocess.run([compiler, *STRICT, "-O1", "-shared", "-fPIC", f"-I{KERNELS}", *sources, "-o", str(path)], check=True)
    return KernelLibrary(ctypes.CDLL(str(path)))


class KernelLibrary:
    """Runs layouts step by step; the structures of the kernels are laid out here as a C compiler lays them out."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._library.fq_run_step.restype = ctypes.c_int32

    def run(self, layout: Layout, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The checkpoints' tensors, each as it is when it is complete."""
        self._kept: list[object] = []
        self._constants: dict[Constant, int] = {}
        steps = (_Step * len(layout.steps))(*[self._step(step) for step in layout.steps])
        pointers = (ctypes.c_void_p * (len(self._constants) + 1))(*[self._address(constant) for constant in self._constants])
        program = _Program(steps, len(layout.steps), pointers)
        memory = np.full(layout.arena_bytes + 2 * ALIGNMENT, 0xA5, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        arena = memory[start : start + layout.arena_bytes]
        for (tensor, offset), value in zip(layout.inputs, inputs, strict=True):
            arena[offset : offset + tensor.nbytes] = np.ascontiguousarray(value).view(np.uint8).reshape(-1)
        found, index = [], 0
        waiting = list(layout.checkpoints)
        while index < len(layout.steps):
            following = self._library.fq_run_step(ctypes.byref(program), ctypes.c_void_p(arena.ctypes.data), ctypes.c_int32(index))
            while waiting and waiting[0].step == index:
                item = waiting.pop(0)
                content = arena[item.offset : item.offset + item.tensor.nbytes].tobytes()
                found.append(np.frombuffer(content, item.tensor.dtype).reshape(item.tensor.shape))
            index = following
        assert not waiting
        assert (memory[start + layout.arena_bytes :] == 0xA5).all(), "written beyond the arena"
        return found

    def _step(self, step: PlacedStep) -> _Step:
        kernel = None if step.kernel is None else ctypes.cast(getattr(self._library, step.kernel), ctypes.c_void_p).value
        places = [NONE if item is None else item if isinstance(item, int) else self._constant(item) for item in step.places]
        return _Step(kernel, ctypes.addressof(self._structure(step.parameters)), *places)

    def _constant(self, constant: Constant) -> int:
        return -1 - self._constants.setdefault(constant, len(self._constants))

    def _address(self, constant: Constant) -> int:
        array = constant.array.copy()
        self._kept.append(array)
        return int(array.ctypes.data)

    def _structure(self, parameters: Parameters) -> ctypes.Structure:
        values = {name: self._value(field) for name, field in parameters.fields}
        types = [
            (name, type(value) if isinstance(value, ctypes.Structure | ctypes.Array) else _plain(field))
            for (name, field), value in zip(parameters.fields, values.values(), strict=True)
        ]
        structure = type(parameters.structure, (ctypes.Structure,), {"_fields_": types})(**values)
        self._kept.append(structure)
        return structure

    def _value(self, field: Field) -> object:
        if isinstance(field, Parameters):
            return self._structure(field)
        if isinstance(field, Pointer):
            return ctypes.addressof(self._structure(field.to))
        if isinstance(field, tuple):
            return (ctypes.c_int32 * len(field))(*field)
        return self._address(field) if isinstance(field, Constant) else field


def _plain(field: Field) -> type:
    return ctypes.c_int32 if isinstance(field, int) else ctypes.c_void_p


def assert_equal_to_reference(library: KernelLibrary, file: Path, inputs: Sequence[np.ndarray]) -> Layout:
    """Every computed tensor of the main graph is that of LiteRT's reference kernels."""
    layout = lay_out(lower_model(read_tflite(file), OPS))
    reference = ReferenceKernels(file)
    reference.run(inputs)
    assert layout.checkpoints
    for checkpoint, codes in zip(layout.checkpoints, library.run(layout, inputs), strict=True):
        expected = reference.tensor(checkpoint.tensor)
        np.testing.assert_array_equal(codes.reshape(expected.shape), expected, err_msg=str(checkpoint.tensor))
    return layout
