"""``python -m pipeline.training``: train a float network in one process, or under torchrun in as many as it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from export_specs.foundation.errors import UserError, run_command_line
from export_specs.load import load_model
from export_specs.schema import ModelSpec, TrainingSpec
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
    accelerator: Annotated[str | None, typer.Option(help="cpu, gpu, auto …; by default what the spec says.")] = None,
    devices: Annotated[int | None, typer.Option(help="Of each node; each is a process. torchrun decides it itself.")] = None,
    num_nodes: Annotated[int | None, typer.Option(help="Computers that train together.")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = None,
) -> None:
    """Train the float network of a spec; the same command goes on with an interrupted run."""
    spec = load_model(model)
    given = {"accelerator": accelerator, "devices": devices, "num_nodes": num_nodes, "precision": precision, **_of_torchrun()}
    spec = with_hardware(spec, {name: value for name, value in given.items() if value is not None})
    train, dev = training_files(data_for(spec.task, data), spec.sample_rate, spec.task)
    train_teacher(spec, train, dev, out, workers, start)


def with_hardware(spec: ModelSpec, settings: Mapping[str, object]) -> ModelSpec:
    """The spec with other hardware for the float training.

    Raises:
        UserError: a setting that cannot be.
    """
    try:
        training = TrainingSpec.model_validate({**spec.training.model_dump(), **settings})
    except ValidationError as error:
        raise UserError("; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())) from error
    return spec.model_copy(update={"training": training})


def _of_torchrun() -> dict[str, object]:
    """How many processes torchrun has started, here and on how many nodes; none of it if it has not."""
    here, everywhere = (int(os.environ.get(name, "0")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return {"devices": here, "num_nodes": everywhere // here} if here else {}


if __name__ == "__main__":
    run_command_line(app)
