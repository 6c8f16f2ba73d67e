"""The command ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export_specs.foundation.errors import UserError, choice_error
from export_specs.load import load_target, target_names
from pipeline.convert.convert import convert


def convert_command(
    onnx: Annotated[Path, typer.Option("--onnx", help="QDQ ONNX file.")],
    out: Annotated[Path, typer.Option("--out", help="TFLite file to write.")],
    target: Annotated[str, typer.Option("--target", help="Target whose allowed ops hold.")] = "tflite-int8",
) -> None:
    """Lower a QDQ ONNX file to an all-integer TFLite file."""
    if target not in target_names():
        raise choice_error("target", target, target_names())
    spec = load_target(target)
    if (spec.format, spec.converter) != ("tflite", "own"):
        fitting = [name for name in target_names() if (load_target(name).format, load_target(name).converter) == ("tflite", "own")]
        raise UserError(f"target '{target}' is not lowered from QDQ ONNX. Choose one of: {', '.join(fitting)}.")
    summary = convert(onnx, out, spec.allowed_ops or None, runtimes=spec.runtimes)
    typer.echo(
        f"{summary.path}: {summary.bytes} bytes, {sum(summary.op_counts.values())} ops, {summary.tensors} tensors, none of them float"
    )
    typer.echo(", ".join(f"{name} {count}" for name, count in summary.op_counts.items()))
