"""``python -m edge_runtime``: separate a recording with a deployed model, or show what a model file is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from edge_runtime.branch_signature import signature_of
from edge_runtime.model_file import read_model
from edge_runtime.recording import open_recording
from edge_runtime.runtime import open_runtime
from edge_runtime.segments import separate_blocks
from edge_runtime.source_files import FormatName, source_files
from edge_runtime.tflm import TflmEngine
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.schema import RuntimeName

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def separate(
    mixture: Annotated[
        Path, typer.Argument(help="The recording: WAV, FLAC, Ogg …, any rate and number of channels; or a pipe (/dev/stdin).")
    ],
    model: Annotated[Path, typer.Option(help="A deployed model.tflite or model.qdq.onnx.")],
    out: Annotated[Path, typer.Option(help="Folder for the separated sources.")] = Path("separated"),
    runtime: Annotated[RuntimeName | None, typer.Option(help="Default: litert-xnnpack for TFLite, onnxruntime for ONNX.")] = None,
    channel: Annotated[str, typer.Option(help="A channel's number, from 1, or 'mix' for all (a mono model gets their mean).")] = "mix",
    kind: Annotated[FormatName, typer.Option("--format", help="Format of the written files.")] = "wav",
    overlap: Annotated[float, typer.Option(help="Part of a segment shared with the one before, above 0 and at most 0.5.")] = 0.25,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one run.")] = 1,
    sample_rate: Annotated[int | None, typer.Option(min=1, help="The model's rate, for files that do not tell it.")] = None,
) -> None:
    """Separate a recording of any length and write one file for each source: OUT/<stem>_1.wav, or OUT/<stem>_drums.wav, and so on."""
    console = Console(stderr=True)
    opened = open_runtime(model, runtime, threads=threads, sample_rate=sample_rate)
    channels = opened.waveform[0] if len(opened.waveform) > 1 else None
    with open_recording(mixture, opened.sample_rate, channel, opened.shortest_samples, channels) as recording:
        for warning in recording.warnings:
            console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        pieces = separate_blocks(opened, recording.blocks(), overlap)
        with source_files(out, mixture.stem, opened.sources, recording, kind, opened.source_names) as files, _progress_bar(console) as bar:
            task = bar.add_task("separating", total=recording.samples)
            for piece in pieces:
                files.write(piece)
                bar.advance(task, piece.shape[-1])
    for path in files.paths:
        typer.echo(path)


@app.command()
def info(model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file.")]) -> None:
    """Show a model's signature, metadata, tensor types and ops. Exit code 1 if it is no separation model."""
    file = read_model(model)
    typer.echo(f"{model}: {file.format}, {len(file.content)} bytes")
    for title, tensors in (("input", file.inputs), ("output", file.outputs)):
        for tensor in tensors:
            typer.echo(f"{title}: {tensor}")
    stated = {} if file.metadata is None else file.metadata.model_dump(exclude_defaults=True)
    for key, value in sorted(stated.items()):
        typer.echo(f"{key}: {value}")
    typer.echo("tensors: " + ", ".join(f"{count} {dtype}" for dtype, count in file.dtypes.most_common()))
    typer.echo("ops: " + ", ".join(f"{count} {op}" for op, count in file.ops.most_common()))
    signature = signature_of(file)
    channels = f" of {signature.waveform[0]} channels" if len(signature.waveform) > 1 else ""
    typer.echo(f"separates {signature.samples} samples{channels} into {signature.sources} source(s)")


@app.command()
def arena(model: Annotated[Path, typer.Argument(help="A .tflite file.")]) -> None:
    """Print the bytes of TFLite Micro's arena as JSON: on this computer ("host"), and at most on a device of 32 bits ("device")."""
    file = read_model(model)
    if file.format != "tflite":
        raise UserError(f"{model} is {file.format}: TFLite Micro runs .tflite files alone")
    engine = TflmEngine(file)
    typer.echo(json.dumps({"host": engine.arena_bytes, "device": engine.device_arena_bytes}))


def _progress_bar(console: Console) -> Progress:
    columns = (TextColumn("separating"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


if __name__ == "__main__":
    run_command_line(app)
