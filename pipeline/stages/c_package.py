"""Stage: the int8 TFLite file as a C99 package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.package.c_int8.package import write_c_package
from pipeline.stages.golden_clips import golden_clips

CLIPS = 6  # golden ones


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: tflite, evaluation, the C sources, and step, the file of one step, where the network streams. ``settings``:
    segment_samples.

    Makes ``device``. The golden clips are the first mixtures of the test set.
    """
    file = inputs["tflite"] / "model.tflite"
    clips = golden_clips(file, inputs["evaluation"], settings["segment_samples"], CLIPS)
    shutil.rmtree(folder / "device", ignore_errors=True)
    stream = inputs["step"] / "model.stream.tflite" if "step" in inputs else None
    write_c_package(file, clips, folder / "device", stream)
