"""Stage: the mixtures that quantization is calibrated with and that the report judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.data.evaluation_set import SetOptions, write_evaluation_sets
from pipeline.data.sources import open_speech


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``settings``: data, sample_rate, segment_samples, task, mixtures.

    Makes the sets test, sweep, dev and calibration; a mixture is at most one segment long.
    """
    rate = settings["sample_rate"]
    options = SetOptions(rate, settings["mixtures"], task=settings["task"], max_seconds=settings["segment_samples"] / rate)
    write_evaluation_sets(open_speech(settings["data"]["name"], rate), folder, options)
