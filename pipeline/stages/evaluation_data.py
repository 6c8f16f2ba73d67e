"""Stage: the mixtures that quantization is calibrated with and that the report judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.data.evaluation_set import SetOptions, write_evaluation_sets
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import open_music, open_speech


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``settings``: data, sample_rate, segment_samples, task, mixtures.

    Makes the sets test, sweep, dev and calibration; a mixture is at most one segment long.
    """
    rate, data = settings["sample_rate"], settings["data"]["name"]
    options = SetOptions(rate, settings["mixtures"], task=settings["task"], max_seconds=settings["segment_samples"] / rate)
    if options.task == "music":
        write_music_sets(open_music(data), folder, options)
    else:
        write_evaluation_sets(open_speech(data, rate), folder, options)
