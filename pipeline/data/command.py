"""The command ``data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.data.evaluation_set import CALIBRATION_MIXTURES, SetOptions, write_evaluation_sets
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import MUSIC_CHOICES, SPEECH_CHOICES, open_music, open_speech


def data_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the sets test, sweep, dev and calibration.")],
    data: Annotated[str, typer.Option("--data", help="By default embedded, or for music embedded-stems; docs/settings.md has all.")] = "",
    sample_rate: Annotated[int, typer.Option("--sample-rate", help="Of the model, in Hz.", min=4000, max=192000)] = 8000,
    n: Annotated[int, typer.Option("--n", help="Mixtures of the test set.", min=1)] = 200,
    seed: Annotated[int, typer.Option("--seed", help="The sets follow from it.", min=0)] = 0,
    task: Annotated[
        str, typer.Option("--task", help="separation (two speakers), enhancement (a speaker and noise) or music.")
    ] = "separation",
    calibration: Annotated[int, typer.Option("--calibration", help="Mixtures of the calibration set.", min=1)] = CALIBRATION_MIXTURES,
    max_seconds: Annotated[float | None, typer.Option("--max-seconds", help="Cut longer mixtures.")] = None,
) -> None:
    """Write evaluation sets."""
    options = SetOptions(sample_rate, n, seed, task, calibration, max_seconds)
    if options.task == "music":
        written = write_music_sets(open_music(data or MUSIC_CHOICES[0]), out, options)
    else:
        written = write_evaluation_sets(open_speech(data or SPEECH_CHOICES[0], sample_rate), out, options)
    for name, count in written.items():
        typer.echo(f"{out / name}: {count} mixtures")
