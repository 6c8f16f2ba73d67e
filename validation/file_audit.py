"""The audit of any TFLite file: what is float in it, which operators a device's runtimes lack, and whether its grids are sound.

Nothing here looks at accuracy: a file may be sound and bad.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from edge_runtime.model_file import read_model
from export_specs.foundation.errors import UserError
from validation.load_probe import LIBRARIES, probe
from validation.record import Number, Record
from validation.runtime_operators import DEVICE_RUNTIMES
from validation.tflite_graph import Operator, Subgraph, Tensor, TfliteGraph

FLOATS = ("float16", "float32", "float64", "bfloat16")
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")  # operators with weights, and where these are
WEIGHTS = {"TRANSPOSE_CONV": 1}
DATA = {"TRANSPOSE_CONV": 2}
BIAS = {"TRANSPOSE_CONV": 3}
FIXED = {"LOGISTIC": {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}, "SOFTMAX": {"int8": (1 / 256, -128)},
         "TANH": {"int8": (1 / 128, 0), "int16": (1 / 32768, 0)}}  # fmt: skip
REQUANTIZING = ("DEQUANTIZE", "QUANTIZE", "SOFTMAX")  # whose kernels take zero points of int16 too
BIAS_TOLERANCE = 1e-3  # of s_in · s_w; LiteRT takes 2 %
SHOWN = 8  # places of a finding

Verdict = Literal["integer", "integer with float islands", "dynamic range", "float"]


class Finding(Record):
    """Something to know about the grids. ``error``: the kernels compute something else than the file says, or refuse it."""

    error: bool
    what: str
    count: int
    places: list[str]


class RuntimeReport(Record):
    """One runtime: whether it loads the file (None: not tried), and the operators that it does not run itself, with the reason."""

    runtime: str
    loads: bool | None
    problem: str
    left: dict[str, int]
    otherwise: str
    operators: int


class FileAudit(Record):
    """The audit of one file. ``islands``: groups of float operators that are connected, each as the operators in it."""

    path: str
    bytes: int
    verdict: Verdict
    sound: bool
    inputs: list[str]
    outputs: list[str]
    dtypes: dict[str, int]
    ops: dict[str, int]
    custom_ops: list[str]
    float_share: Number
    islands: list[list[str]]
    findings: list[Finding]
    runtimes: list[RuntimeReport]

    @property
    def fully_integer(self) -> bool:
        """Whether a device without float units and without custom code can run it."""
        return self.verdict == "integer" and self.sound and not self.custom_ops


def audit_file(path: Path, probed: bool = True) -> FileAudit:
    """Read a TFLite file and judge it; ``probed`` False does not load it into the runtimes.

    Raises:
        UserError: it cannot be read, is damaged, or is no TFLite file.
    """
    if read_model(path).format != "tflite":
        raise UserError(f"{path} is an ONNX file; the audit is of TFLite files (`fqss info` tells about either)")
    graph = TfliteGraph.read(path)
    tensors = [tensor for part in graph.subgraphs for tensor in part.tensors]
    operators = [operator for part in graph.subgraphs for operator in part.operators]
    computing = [(part, op) for part in graph.subgraphs for op in part.operators if _is_float(part, op)]
    islands = [island for part in graph.subgraphs for island in _islands(part)]
    findings = _findings(graph)
    ends = [*graph.inputs, *graph.outputs]
    return FileAudit(
        path=str(path),
        bytes=len(graph.content),
        verdict=_verdict(graph, len(computing), len(operators)),
        sound=not any(finding.error for finding in findings),
        inputs=[_described(tensor) for tensor in ends[: len(graph.inputs)]],
        outputs=[_described(tensor) for tensor in graph.outputs],
        dtypes=dict(Counter(tensor.dtype for tensor in tensors).most_common()),
        ops=dict(Counter(operator.name for operator in operators).most_common()),
        custom_ops=sorted({operator.name for operator in operators if operator.name.startswith("CUSTOM:")}),
        float_share=len(computing) / len(operators) if operators else 0.0,
        islands=islands,
        findings=findings,
        runtimes=_runtimes(path, graph, probed),
    )


def _verdict(graph: TfliteGraph, floating: int, operators: int) -> Verdict:
    if not floating and not any(tensor.dtype in FLOATS for tensor in (*graph.inputs, *graph.outputs)):
        return "integer"
    if any(_is_hybrid(part, operator) for part in graph.subgraphs for operator in part.operators):
        return "dynamic range"
    quantized = any(_computes_integers(part, operator) for part in graph.subgraphs for operator in part.operators)
    return "integer with float islands" if quantized and floating < operators else "float"


def _operands(part: Subgraph, operator: Operator) -> tuple[list[Tensor], list[Tensor]]:
    """What is computed before and goes in, and what comes out."""
    inputs = [part.tensors[index] for index in operator.inputs if index >= 0]
    return [tensor for tensor in inputs if not tensor.constant_bytes], [part.tensors[index] for index in operator.outputs]


def _is_float(part: Subgraph, operator: Operator) -> bool:
    inputs, outputs = _operands(part, operator)
    return any(tensor.dtype in FLOATS for tensor in (*inputs, *outputs))


def _is_hybrid(part: Subgraph, operator: Operator) -> bool:
    """Float data and integer weights: the kernel quantizes on the run."""
    if operator.name not in WEIGHTED or not _is_float(part, operator):
        return False
    weights = _operand(part, operator, WEIGHTS.get(operator.name, 1))
    return weights is not None and weights.dtype in ("int8", "uint8", "int4")


def _computes_integers(part: Subgraph, operator: Operator) -> bool:
    inputs, outputs = _operands(part, operator)
    return bool(outputs) and all(tensor.dtype in ("int8", "uint8", "int16") for tensor in (*inputs, *outputs))


def _islands(part: Subgraph) -> list[list[str]]:
    """Float operators that hand float tensors to one another; QUANTIZE and DEQUANTIZE are an island's shores."""
    numbers = [number for number, operator in enumerate(part.operators) if _is_float(part, operator)]
    home = {number: number for number in numbers}

    def root(number: int) -> int:
        while home[number] != number:
            number = home[number]
        return number

    holders: dict[int, int] = {}
    for number in numbers:
        operator = part.operators[number]
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and part.tensors[index].dtype in FLOATS and not part.tensors[index].constant_bytes:
                home[root(number)] = root(holders.setdefault(index, number))
    islands: dict[int, list[str]] = {}
    for number in numbers:
        islands.setdefault(root(number), []).append(part.operators[number].name)
    return list(islands.values())


def _findings(graph: TfliteGraph) -> list[Finding]:
    found: dict[tuple[bool, str], list[str]] = {}

    def note(error: bool, what: str, place: str) -> None:
        found.setdefault((error, what), []).append(place)

    for part in graph.subgraphs:
        for tensor in part.tensors:
            for error, what in _grid_faults(tensor):
                note(error, what, _named(tensor))
        for operator in part.operators:
            for error, what in _operator_faults(part, operator):
                note(error, what, _named(part.tensors[operator.outputs[0]]) if operator.outputs else f"operator {operator.number}")
    return [Finding(error=error, what=what, count=len(places), places=places[:SHOWN]) for (error, what), places in found.items()]


def _grid_faults(tensor: Tensor) -> list[tuple[bool, str]]:
    faults = []
    if any(not math.isfinite(scale) or scale <= 0 for scale in tensor.scale):
        faults.append((True, "a scale is not a positive number"))
    if tensor.scale and tensor.dtype in ("int8", "uint8", "int16"):
        ends = np.iinfo(tensor.dtype)
        if any(not ends.min <= zero <= ends.max for zero in tensor.zero_point):
            faults.append((True, f"a zero point is no code of {tensor.dtype}"))
    if tensor.zero_point and len(tensor.zero_point) != len(tensor.scale):
        faults.append((True, "scales and zero points differ in number"))
    return faults


def _operator_faults(part: Subgraph, operator: Operator) -> list[tuple[bool, str]]:
    faults = []
    inputs, outputs = _operands(part, operator)
    if operator.name in WEIGHTED:
        faults += _weight_faults(part, operator, outputs)
    fixed = FIXED.get(operator.name, {}).get(outputs[0].dtype) if outputs else None
    if fixed is not None and outputs[0].scale:
        zero = outputs[0].zero_point[0] if outputs[0].zero_point else 0
        if not math.isclose(outputs[0].scale[0], fixed[0], rel_tol=1e-5) or zero != fixed[1]:
            faults.append((True, f"{operator.name} has another output grid than its kernels, {fixed[0]:g} and {fixed[1]}"))
    if operator.name not in REQUANTIZING and any(tensor.dtype == "int16" and any(tensor.zero_point) for tensor in (*inputs, *outputs)):
        faults.append((True, f"{operator.name} of an int16 tensor with a zero point, which its kernels take for 0"))
    if any(len(tensor.scale) > 1 for tensor in (*inputs, *outputs)):
        faults.append((True, "an activation has a scale for each channel"))
    return faults


def _weight_faults(part: Subgraph, operator: Operator, outputs: list[Tensor]) -> list[tuple[bool, str]]:
    weights = _operand(part, operator, WEIGHTS.get(operator.name, 1))
    data = _operand(part, operator, DATA.get(operator.name, 0))
    bias = _operand(part, operator, BIAS.get(operator.name, 2))
    if weights is None or data is None or weights.dtype not in ("int8", "uint8", "int4"):
        return []
    if not weights.scale:
        return [(True, f"weights of {operator.name} have no scale")]
    faults = []
    if weights.dtype != "uint8" and any(weights.zero_point):
        faults.append((True, f"weights of {operator.name} have a zero point, which int8 kernels take for 0"))
    if data.dtype in ("int8", "int16"):
        if not data.scale or any(not tensor.scale for tensor in outputs):
            faults.append((True, f"{operator.name} has no scale for its input or output"))
        if len(weights.scale) == 1 and weights.shape and weights.shape[0 if operator.name != "DEPTHWISE_CONV_2D" else -1] > 1:
            faults.append((False, f"weights of {operator.name} have one scale for all channels"))
        if bias is not None and bias.scale and data.scale and not _is_bias_scale(bias, data, weights):
            faults.append((False, f"a bias of {operator.name} is not on the grid s_in · s_w, on which kernels add it"))
    return faults


def _is_bias_scale(bias: Tensor, data: Tensor, weights: Tensor) -> bool:
    """Within BIAS_TOLERANCE, with one scale for all or one for each channel; the scale 1 says steps of the accumulator."""
    expected, found = data.scale[0] * np.asarray(weights.scale), np.asarray(bias.scale)
    if np.all(found == 1):
        return True
    if len(found) not in (1, len(expected)) and len(expected) != 1:
        return False
    return bool(np.all(np.abs(found - expected) <= BIAS_TOLERANCE * np.abs(expected)))


def _operand(part: Subgraph, operator: Operator, position: int) -> Tensor | None:
    index = operator.inputs[position] if position < len(operator.inputs) else -1
    return part.tensors[index] if index >= 0 else None


def _runtimes(path: Path, graph: TfliteGraph, probed: bool) -> list[RuntimeReport]:
    pairs = [(part, operator) for part in graph.subgraphs for operator in part.operators]
    loads = {name: probe(path, name) for name in LIBRARIES} if probed else {}
    reports = []
    for name in ("LiteRT", "XNNPACK"):
        load = loads.get(name)
        left: dict[str, int] = {}
        if load is not None and load.delegated is not None:
            rest = len(graph.operators) - load.delegated
            left = {"not taken by the delegate": rest} if rest else {}
        reports.append(
            RuntimeReport(
                runtime=name, loads=None if load is None else load.loaded, problem="" if load is None else load.problem, left=left,
                otherwise="runs in LiteRT's own kernels" if name == "XNNPACK" else "", operators=len(pairs),
            )
        )  # fmt: skip
    for device in DEVICE_RUNTIMES:
        reasons = [(operator.name, device.reason(operator, _operands(part, operator))) for part, operator in pairs]
        lacking = Counter(f"{name} ({reason})" for name, reason in reasons if reason is not None)
        load = loads.get(device.name)
        reports.append(
            RuntimeReport(
                runtime=device.name, loads=None if load is None else load.loaded, problem="" if load is None else load.problem,
                left=dict(lacking.most_common()), otherwise=device.otherwise, operators=len(pairs),
            )
        )  # fmt: skip
    return reports


def _named(tensor: Tensor) -> str:
    return tensor.name or f"tensor {tensor.index}"


def _described(tensor: Tensor) -> str:
    grid = f" scale {tensor.scale[0]:.6g} zero point {(tensor.zero_point or (0,))[0]}" if len(tensor.scale) == 1 else ""
    return f"'{tensor.name}' {tensor.dtype} {list(tensor.shape)}{grid}"
