"""stepper.c around an interpreter whose inputs and outputs share memory, and stream.c around that: edge_runtime's samples."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import pipeline.package.stream
from edge_runtime.step_runtime import open_steps
from edge_runtime.stream import StreamSeparator
from export_specs.load import load_target
from pipeline.convert.convert import convert
from pipeline.export.streaming.rewrite import to_streaming
from pipeline.package.c_int8.flatbuffer_reader import Model, read_tflite
from pipeline.package.c_int8.golden import ReferenceKernels
from pipeline.package.c_int8.package import KERNELS
from pipeline.package.stream.table import stream_table_h
from tests.export.test_streaming import SPEC, whole_model
from tests.separator.test_stream import STRICT, CStream, library, loudness

__all__ = ["library"]

SOURCES = Path(pipeline.package.stream.__file__).parent
Input = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
Invoke = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
SHIM = '#include "stream_table.h"\nconst struct fq_stepped *network(void) { return &tiny_stream_stepped; }\n'


class _Stepper(ctypes.Structure):
    _fields_ = [
        ("network", ctypes.c_void_p),
        ("input", Input),
        ("output", Input),
        ("invoke", Invoke),
        ("interpreter", ctypes.c_void_p),
        ("memory", ctypes.c_void_p),
    ]


class Interpreter:
    """The reference kernels as TFLite Micro shows them: outputs lie where the inputs did."""

    def __init__(self, file: Path, model: Model) -> None:
        self._kernels, self._graph = ReferenceKernels(file), model.graphs[0]
        self._memory = np.zeros(max(sum(item.nbytes for item in side) for side in (self._graph.inputs, self._graph.outputs)), np.int8)

    def place(self, side: str, index: int) -> int:
        return int(self._memory.ctypes.data) + sum(tensor.nbytes for tensor in getattr(self._graph, side)[:index])

    def invoke(self) -> None:
        ends = np.cumsum([tensor.nbytes for tensor in self._graph.inputs])[:-1]
        self._kernels.run([piece.view(item.dtype) for piece, item in zip(np.split(self._memory, ends), self._graph.inputs, strict=False)])
        outputs = np.concatenate([self._kernels.tensor(tensor).reshape(-1).view(np.int8) for tensor in self._graph.outputs])
        self._memory[...] = 77
        self._memory[: len(outputs)] = outputs


@pytest.fixture(scope="module", params=[3, 4])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    onnx.save(to_streaming(whole_model(SPEC), request.param), folder / "model.stream.onnx")
    return convert(folder / "model.stream.onnx", folder / "model.stream.tflite", load_target("tflite-int8").allowed_ops).path


def _stepper(model: Model, interpreter: Interpreter, folder: Path) -> tuple[ctypes.CDLL, _Stepper, list[object]]:
    """The compiled stepper with the table of a file; the list keeps alive what it points to."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler: install gcc (Debian: apt-get install gcc)")
    table = stream_table_h(model, "tiny_stream")
    (folder / "stream_table.h").write_text(table)
    (folder / "shim.c").write_text(SHIM)
    sources = [str(path) for path in (SOURCES / "stepper.c", KERNELS / "delay_line.c", folder / "shim.c")]
    includes = [f"-I{path}" for path in (SOURCES, KERNELS, folder)]
    subprocess.run([compiler, *STRICT, *includes, "-O1", "-shared", "-fPIC", *sources, "-o", str(folder / "s.so")], check=True)
    loaded = ctypes.CDLL(str(folder / "s.so"))
    loaded.network.restype = ctypes.c_void_p
    memory = np.full(int(table.split("_MEMORY_BYTES ")[1].split()[0]), -1, np.int8)
    kept = [
        memory,
        Input(lambda _, index: interpreter.place("inputs", index)),
        Input(lambda _, index: interpreter.place("outputs", index)),
        Invoke(lambda _: interpreter.invoke()),
    ]
    return loaded, _Stepper(loaded.network(), *kept[1:], None, memory.ctypes.data), kept


def test_the_same_samples_as_the_host(file: Path, library: ctypes.CDLL, tmp_path: Path) -> None:
    runtime = open_steps(file, "litert-ref")
    model = read_tflite(file)
    compiled, state, kept = _stepper(model, Interpreter(file, model), tmp_path)
    at = ctypes.byref(state)

    def push(_: object, pcm: object, separated: object) -> None:
        compiled.fq_stepper_push(at, pcm, separated)

    stream = CStream(library, runtime, 0, lambda: compiled.fq_stepper_reset(at), push)
    separator, pcm = StreamSeparator(runtime), np.clip(20 * loudness(3, 700).astype(np.int32), -32768, 32767).astype(np.int16)
    for piece in np.array_split(pcm, 5):
        np.testing.assert_array_equal(stream.push(piece), separator.push(piece))
    rest = separator.finish()
    assert np.abs(rest).max() > 0
    np.testing.assert_array_equal(stream.finish(), rest)
    assert len(kept) == 4
