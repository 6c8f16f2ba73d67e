"""Stage: onnx2tf's TFLite file, float or post-training int8, for comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from pipeline.convert.onnx2tf_baseline import convert_with_onnx2tf
from pipeline.data.mixing import power_of_two_gain


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: float, and evaluation where ``settings`` say ``int8``. Also ``settings``: segment_samples. Makes ``model.tflite``."""
    mixtures = _segments(inputs["evaluation"] / "calibration", settings["segment_samples"]) if settings["int8"] else None
    convert_with_onnx2tf(inputs["float"] / "float.onnx", folder / "model.tflite", mixtures)


def _segments(evaluation_set: Path, samples: int) -> np.ndarray:
    """The first segment of each mixture, at the level the device works on: [N, T], or [N, T, A] as onnx2tf lays out A channels."""
    segments = []
    for item in json.loads((evaluation_set / "manifest.json").read_text())["items"]:
        waveform, _ = soundfile.read(evaluation_set / item["mixture"], dtype="float32")
        waveform = np.pad(waveform[:samples], ((0, max(0, samples - len(waveform))), *[(0, 0)] * (waveform.ndim - 1)))
        segments.append(waveform * np.float32(power_of_two_gain(float(np.abs(waveform).max()))))
    return np.stack(segments)
