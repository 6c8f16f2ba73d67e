"""``python -m edge_runtime``: separate a recording with a deployed model, or show what a model file is."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from edge_runtime.branch_signature import signature_of
from edge_runtime.live import run_live
from edge_runtime.model_file import ModelFile, read_model
from edge_runtime.opening import Opened, open_for, separator_of
from edge_runtime.recording import open_recording
from edge_runtime.runtime import FileRuntime
from edge_runtime.separator import Separator, pushed
from edge_runtime.shipped import file_named
from edge_runtime.source_files import FormatName, source_files
from edge_runtime.stream_states import state_bytes
from export_specs.foundation.errors import UserError, choice_error, printable, run_command_line
from export_specs.schema import RuntimeName

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def separate(
    mixture: Annotated[
        Path, typer.Argument(help="The recording: WAV, FLAC, Ogg …, any rate and number of channels; or a pipe (/dev/stdin).")
    ],
    model: Annotated[
        Path, typer.Option(help="A deployed model.tflite or model.qdq.onnx; or the name of a network whose file ships, as convtasnet.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the separated sources.")] = Path("separated"),
    runtime: Annotated[RuntimeName | None, typer.Option(help="Default: litert-xnnpack for TFLite, onnxruntime for ONNX.")] = None,
    channel: Annotated[str, typer.Option(help="A channel's number, from 1, or 'mix' for all (a mono model gets their mean).")] = "mix",
    kind: Annotated[FormatName, typer.Option("--format", help="Format of the written files.")] = "wav",
    overlap: Annotated[float, typer.Option(help="Part of a segment shared with the one before, above 0 and at most 0.5.")] = 0.25,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one run.")] = 1,
    sample_rate: Annotated[int | None, typer.Option(min=1, help="The model's rate, for files that do not tell it.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="As it would be live; tells latency and real-time factor.")] = False,
) -> None:
    """Separate a recording of any length and write one file for each source: OUT/<stem>_1.wav, or OUT/<stem>_drums.wav, and so on."""
    console = Console(stderr=True)
    opened = open_for(file_named(model, stream), runtime, threads, sample_rate, stream)
    separator = separator_of(opened, overlap)
    channels = opened.waveform[0] if isinstance(opened, FileRuntime) and len(opened.waveform) > 1 else None
    with open_recording(mixture, opened.sample_rate, channel, opened.shortest_samples, channels) as recording:
        for warning in recording.warnings:
            console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        with source_files(out, mixture.stem, opened.sources, recording, kind, opened.source_names) as files, _progress_bar(console) as bar:
            task = bar.add_task("separating", total=recording.samples)
            begin = time.process_time()
            for piece in pushed(separator, recording.blocks(), opened.sample_rate):
                files.write(piece)
                bar.advance(task, piece.shape[-1])
    if stream:
        factor = (time.process_time() - begin) * opened.sample_rate / recording.samples
        console.print(f"{_latency(separator, opened)}; processor time {factor:.3f} of the recording's", highlight=False)
    for path in files.paths:
        typer.echo(path)


@app.command()
def live(
    model: Annotated[
        Path, typer.Option(help="A deployed model.stream.tflite, or a name as convtasnet-causal; a whole file answers a segment later.")
    ],
    runtime: Annotated[RuntimeName | None, typer.Option(help="Default: litert-xnnpack for TFLite, onnxruntime for ONNX.")] = None,
    source: Annotated[int | None, typer.Option(min=1, help="The one to be written, from 1; by default all, interleaved.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one run.")] = 1,
) -> None:
    """Separate a stream as it comes: mono int16 samples, little-endian and at the model's rate, from standard input to standard output.

    As many samples come out of each source as go in, in the end.
    """
    opened = open_for(file_named(model, stream=True), runtime, threads, None, True)
    if isinstance(opened, FileRuntime) and len(opened.waveform) > 1:
        raise UserError(f"live takes mono samples, and this model {opened.waveform[0]} channels: use separate --stream")
    if source is not None and source > opened.sources:
        raise choice_error("source", str(source), [str(number) for number in range(1, opened.sources + 1)])
    separator = separator_of(opened)
    step = opened.sample_rate // 100 if isinstance(opened, FileRuntime) else opened.hop_samples
    typer.echo(f"{opened.sample_rate} samples per second, {opened.sources} source(s), {_latency(separator, opened)}", err=True)
    run_live(separator, sys.stdin.buffer, sys.stdout.buffer, step, source)


@app.command()
def info(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file; or the name of a network whose file ships.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show a model's signature, metadata, tensor types and ops. Exit code 1 if it is no separation model."""
    file = read_model(file_named(model))
    if as_json:
        typer.echo(json.dumps(_described(file), indent=1))
        return
    typer.echo(f"{file.path}: {file.format}, {len(file.content)} bytes")
    for title, tensors in (("input", file.inputs), ("output", file.outputs)):
        for tensor in tensors:
            typer.echo(printable(f"{title}: {tensor}"))
    stated = {} if file.metadata is None else file.metadata.model_dump(exclude_defaults=True, exclude={"streaming"})
    for key, value in sorted(stated.items()):
        typer.echo(printable(f"{key}: {value}"))
    typer.echo("tensors: " + ", ".join(f"{count} {dtype}" for dtype, count in file.dtypes.most_common()))
    typer.echo(printable("ops: " + ", ".join(f"{count} {op}" for op, count in file.ops.most_common())))
    if file.metadata is not None and (streaming := file.metadata.streaming) is not None:
        hop, latency, held = file.metadata.segment_samples, streaming.latency_samples, state_bytes(streaming.states)
        sources = f"into {file.metadata.sources} source(s)"
        typer.echo(f"separates steps of {hop} samples {sources}, {latency} samples of latency, {held} bytes of state")
        return
    signature = signature_of(file)
    channels = f" of {signature.waveform[0]} channels" if len(signature.waveform) > 1 else ""
    typer.echo(f"separates {signature.samples} samples{channels} into {signature.sources} source(s)")


@app.command()
def arena(model: Annotated[Path, typer.Argument(help="A .tflite file.")]) -> None:
    """Print the bytes of TFLite Micro's arena as JSON: on this computer ("host"), and at most on a device of 32 bits ("device")."""
    file = read_model(model)
    if file.format != "tflite":
        raise UserError(f"{model} is {file.format}: TFLite Micro runs .tflite files alone")
    from edge_runtime.tflm import TflmEngine  # a host that only runs files may be without

    engine = TflmEngine(file)
    typer.echo(json.dumps({"host": engine.arena_bytes, "device": engine.device_arena_bytes}))


def _latency(separator: Separator, opened: Opened) -> str:
    return f"latency {1000 * separator.latency_samples / opened.sample_rate:g} ms and the time of computing"


def _described(file: ModelFile) -> dict[str, Any]:
    """As ``info`` tells it in words.

    Raises:
        UserError: it is no separation model.
    """
    stated = file.metadata
    if stated is not None and stated.streaming is not None:
        samples, sources = stated.segment_samples, stated.sources  # of a step
    else:
        signature = signature_of(file)
        samples, sources = signature.samples, signature.sources
    return {
        "path": str(file.path),
        "format": file.format,
        "bytes": len(file.content),
        "inputs": [str(tensor) for tensor in file.inputs],
        "outputs": [str(tensor) for tensor in file.outputs],
        "metadata": None if stated is None else stated.model_dump(mode="json", exclude_defaults=True),
        "tensors": dict(file.dtypes.most_common()),
        "ops": dict(file.ops.most_common()),
        "samples": samples,
        "sources": sources,
    }


def _progress_bar(console: Console) -> Progress:
    columns = (TextColumn("separating"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


if __name__ == "__main__":
    run_command_line(app)
