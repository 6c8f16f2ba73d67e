"""The command ``data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.data.evaluation_set import CALIBRATION_MIXTURES, SetOptions, write_evaluation_sets
from pipeline.data.sources import open_speech


def data_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the sets test, sweep, dev and calibration.")],
    data: Annotated[str, typer.Option("--data", help="embedded, debian-voices, librimix:DIR or folder:DIR.")] = "embedded",
    sample_rate: Annotated[int, typer.Option("--sample-rate", help="Of the model, in Hz.", min=4000, max=192000)] = 8000,
    n: Annotated[int, typer.Option("--n", help="Mixtures of the test set.", min=1)] = 200,
    seed: Annotated[int, typer.Option("--seed", help="The sets follow from it.", min=0)] = 0,
    task: Annotated[str, typer.Option("--task", help="separation (two speakers) or enhancement (a speaker and noise).")] = "separation",
    calibration: Annotated[int, typer.Option("--calibration", help="Mixtures of the calibration set.", min=1)] = CALIBRATION_MIXTURES,
    max_seconds: Annotated[float | None, typer.Option("--max-seconds", help="Cut longer mixtures.")] = None,
) -> None:
    """Write evaluation sets."""
    options = SetOptions(sample_rate, n, seed, task, calibration, max_seconds)
    for name, count in write_evaluation_sets(open_speech(data, sample_rate), out, options).items():
        typer.echo(f"{out / name}: {count} mixtures")
