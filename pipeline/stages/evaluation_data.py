"""Stage: the mixtures that quantization is calibrated with and that the report judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.data.evaluation_set import SetOptions, write_evaluation_sets
from pipeline.data.music_sets import write_music_sets
from pipeline.data.sources import open_music, open_speech

MUSIC_CALIBRATION_MIXTURES = 50  # four stereo stems and their sum are 1.8 MB for each 2 s


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``settings``: data, sample_rate, segment_samples, task, noise_snr_db, mixtures.

    Makes the sets test, sweep, dev and calibration, of which a mixture is at most one segment long, and of music whole tracks.
    """
    rate, data = settings["sample_rate"], settings["data"]["name"]
    seconds, snr_db = settings["segment_samples"] / rate, settings["noise_snr_db"]
    options = SetOptions(rate, settings["mixtures"], task=settings["task"], max_seconds=seconds, snr_db=snr_db)
    if options.task == "music":
        write_music_sets(open_music(data), folder, replace(options, calibration=MUSIC_CALIBRATION_MIXTURES))
    else:
        write_evaluation_sets(open_speech(data, rate), folder, options)
