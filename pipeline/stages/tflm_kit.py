"""Stage: the int8 TFLite file as a folder for firmware with TFLite Micro."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError
from pipeline.package.tflm.kit import ArenaBytes, write_tflm_kit
from pipeline.package.tflm.stream_kit import write_stream_kit
from pipeline.stages.golden_clips import golden_clips

CLIPS = 2  # golden ones


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: tflite, evaluation, the sources, and step, the file of one step, where the network streams. ``settings``:
    segment_samples.

    Makes ``device``. The golden clips are the first mixtures of the test set; the arena is measured by ``python -m edge_runtime``.

    Raises:
        UserError: TFLM does not load the file; its reason has been told.
    """
    file = inputs["tflite"] / "model.tflite"
    clips = golden_clips(file, inputs["evaluation"], settings["segment_samples"], CLIPS)
    shutil.rmtree(folder / "device", ignore_errors=True)
    write_tflm_kit(file, clips, _measured_arena(file), folder / "device")
    if "step" in inputs:
        stream = inputs["step"] / "model.stream.tflite"
        write_stream_kit(stream, clips[0][0].reshape(-1), _measured_arena(stream), folder / "device" / "stream")


def _measured_arena(file: Path) -> ArenaBytes:
    measured = run_child([sys.executable, "-m", "edge_runtime", "arena", str(file)], stdout=subprocess.PIPE, text=True)
    if measured.returncode:
        raise UserError(
            f"TFLite Micro does not load {file}, so there is nothing for firmware; see above. A target says so with package: none"
        )
    return ArenaBytes(**json.loads(measured.stdout))
