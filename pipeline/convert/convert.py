"""From a QDQ ONNX file to an all-integer TFLite file, node by node. What cannot be lowered is refused and no file is written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from export_specs.foundation.atomic import write_bytes
from export_specs.schema import Rewrite
from pipeline.convert.declaration import Declarations
from pipeline.convert.errors import ConversionError
from pipeline.convert.graph import OnnxGraph
from pipeline.convert.lowering import Lowering
from pipeline.convert.ops import DECLARATIONS

XNNPACK = "litert-xnnpack"  # name of a runtime
DESCRIPTION = "int8 TFLite lowered from QDQ ONNX with learned scales"


@dataclass(frozen=True)
class ConversionSummary:
    """What a conversion made.

    Attributes:
        path: the TFLite file.
        bytes: its size.
        op_counts: TFLite builtin name -> number of ops.
        tensors: number of tensors (all int8, int16 or int32).
        inputs, outputs: name -> shape.
    """

    path: Path
    bytes: int
    op_counts: dict[str, int]
    tensors: int
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


def convert(
    onnx_path: Path | str,
    tflite_path: Path | str,
    allowed_ops: Collection[str] | None = None,
    declarations: Declarations = DECLARATIONS,
    runtimes: Collection[str] = (),
    rewrites: Collection[Rewrite] = (),
) -> ConversionSummary:
    """Lower ``onnx_path`` to ``tflite_path``, copying every scale and zero point verbatim.

    Args:
        onnx_path: QDQ ONNX with static shapes, integer in and out; body tensors [N, C, T] become [N, T, 1, C].
        tflite_path: written whole or not at all.
        allowed_ops: TFLite builtin names that the target takes; None allows all.
        declarations: how each op is lowered; those of ``pipeline.convert.ops`` unless given.
        runtimes: of the target; with litert-xnnpack an operator that XNNPACK would leave to slower kernels is refused.
        rewrites: other forms that the target's kernels are fast at. They change no code, but for depthwise-products where a LEAKY_RELU
            would round twice: these round once.

    Raises:
        UserError: the file is missing or not ONNX.
        ConversionError: a node cannot be lowered to integers; the message names it.
    """
    onnx_path, tflite_path = Path(onnx_path), Path(tflite_path)
    graph = OnnxGraph.read(onnx_path, declarations)
    lowering = lower_graph(graph, allowed_ops, XNNPACK in runtimes, rewrites)
    content = lowering.builder.finish(
        {name: lowering.tensor(name) for name in graph.inputs},
        {name: lowering.tensor(name) for name in graph.outputs},
        DESCRIPTION,
        graph.metadata,
        lowering.tensor_layouts(),
        "memory-plan" in rewrites,
    )
    write_bytes(tflite_path, content)
    return ConversionSummary(
        tflite_path,
        len(content),
        dict(sorted(lowering.builder.op_counts.items())),
        lowering.builder.tensor_count,
        {name: lowering.shape(name) for name in graph.inputs},
        {name: lowering.shape(name) for name in graph.outputs},
    )


def lower_graph(
    graph: OnnxGraph, allowed_ops: Collection[str] | None = None, for_xnnpack: bool = False, rewrites: Collection[Rewrite] = ()
) -> Lowering:
    """Lower every node of ``graph``, and check that its outputs are computed."""
    lowering = Lowering(graph, allowed_ops, for_xnnpack=for_xnnpack, rewrites=rewrites)
    for name in graph.inputs:
        lowering.tensor(name)
    lowering.lower()
    for name in graph.outputs:
        if graph.producer(name) is None:
            raise ConversionError(name, "graph output", "it is an input or a constant", "remove it from the outputs")
    return lowering
