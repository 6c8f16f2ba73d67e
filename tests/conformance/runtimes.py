"""Runs any ONNX or TFLite file with several inputs on every runtime (the adapters of edge_runtime take one PCM tensor)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime as micro

from edge_runtime.litert import LiteRtEngine
from edge_runtime.model_file import read_model
from edge_runtime.tflm import TflmEngine

Tensors = dict[str, np.ndarray]
KERNELS = {"ref": OpResolverType.BUILTIN_REF, "opt": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "xnnpack": OpResolverType.AUTO}
# The last parts of names in ONNX without a tensor in TFLite: rows are their frames, the digits are joined otherwise, bounds are differences
NOT_IN_TFLITE = {"rows", "splitter", "joined", "limited", "held"}
RUNTIMES = [*KERNELS, "tflm"]
ARENA_BYTES = 8 << 20


def run_onnx(path: Path, inputs: Tensors) -> Tensors:
    """ONNX Runtime at DISABLE_ALL; outputs in ONNX layout."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_tflite(path: Path, runtime: str, inputs: Tensors) -> Tensors:
    """A TFLite runtime; rank-3 ONNX inputs are laid out as the file has them, outputs [N, T, 1, C] are brought back to [N, C, T]."""
    reference = Interpreter(str(path), experimental_op_resolver_type=KERNELS.get(runtime, OpResolverType.BUILTIN_REF), num_threads=1)
    reference.allocate_tensors()
    sources, targets = reference.get_input_details(), reference.get_output_details()
    fed = [_channels_last(inputs[item["name"]], tuple(item["shape"])) for item in sources]
    if runtime == "tflm":
        device = micro.Interpreter.from_file(str(path), arena_size=ARENA_BYTES)
        for index, value in enumerate(fed):
            device.set_input(value, index)
        device.invoke()
        results = [np.array(device.get_output(index)).reshape(item["shape"]) for index, item in enumerate(targets)]
    else:
        for item, value in zip(sources, fed, strict=True):
            reference.set_tensor(item["index"], value)
        reference.invoke()
        results = [reference.get_tensor(item["index"]) for item in targets]
    return {item["name"]: _channels_first(value) for item, value in zip(targets, results, strict=True)}


def _channels_last(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(0, 2, 1)[:, :, None, :]) if (value.ndim, len(shape)) == (3, 4) else value


def _channels_first(value: np.ndarray) -> np.ndarray:
    return value[:, :, 0, :].transpose(0, 2, 1) if value.ndim == 4 and value.shape[2] == 1 else value


def exact_on_device(tflite: Path, *values: np.ndarray) -> dict[str, np.ndarray]:
    """BUILTIN_REF's taps, after asserting that TFLM has the same in every inner tensor."""
    file = read_model(tflite)
    _, reference = LiteRtEngine(file, "litert-ref").invoke_with_taps(values)
    _, device = TflmEngine(file).invoke_with_taps(values)
    assert reference.keys() == device.keys()
    for name, codes in reference.items():
        np.testing.assert_array_equal(device[name].reshape(codes.shape), codes, err_msg=name)
    return reference
