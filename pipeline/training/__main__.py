"""``python -m pipeline.training``: train a float network in one process, or under torchrun in as many as it starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from export_specs.foundation.errors import run_command_line
from export_specs.load import load_model
from pipeline.data.sources import data_for, training_files
from pipeline.training.teacher import train_teacher

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, curve.csv and float.safetensors.")],
    model: Annotated[str, typer.Option(help="Model name or spec file.")] = "convtasnet",
    data: Annotated[str, typer.Option(help="Data set, as make's DATA.")] = "",
    start: Annotated[Path | None, typer.Option(help="Float weights to go on from.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that mix examples, for each that trains.")] = 0,
) -> None:
    """Train the float network of a spec; the same command goes on with an interrupted run."""
    spec = load_model(model)
    train, dev = training_files(data_for(spec.task, data), spec.sample_rate, spec.task)
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    train_teacher(spec, train, dev, out, workers, devices, start)


if __name__ == "__main__":
    run_command_line(app)
