"""Stage: the int8 TFLite file as a C99 package."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from pipeline.data.set_folder import MANIFEST, Pcm
from pipeline.package.c_int8.flatbuffer_reader import Tensor, read_tflite
from pipeline.package.c_int8.golden import Clip
from pipeline.package.c_int8.package import write_c_package

CLIPS = 6  # golden ones


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: tflite, evaluation, and the C sources. ``settings``: segment_samples.

    Makes ``device``. The golden clips are the first mixtures of the test set.
    """
    file = inputs["tflite"] / "model.tflite"
    tensors = read_tflite(file).graphs[0].inputs
    items = json.loads((inputs["evaluation"] / "test" / MANIFEST).read_text())["items"][:CLIPS]
    mixtures = [soundfile.read(inputs["evaluation"] / "test" / item["mixture"], dtype="int16")[0].T for item in items]
    clips = [_clip(mixture, settings["segment_samples"], tensors) for mixture in mixtures]
    shutil.rmtree(folder / "device", ignore_errors=True)
    write_c_package(file, clips, folder / "device")


def _clip(pcm: Pcm, samples: int, tensors: tuple[Tensor, ...]) -> Clip:
    """A mixture, silence after it up to a segment, as the inputs of a file.

    A spectrogram gets the samples again and again: whether kernels agree does not depend on what codes stand for, and the transforms of a
    front end are no part of the file.
    """
    segment = np.pad(pcm, [*[(0, 0)] * (pcm.ndim - 1), (0, samples - pcm.shape[-1])])
    return [np.resize(segment, tensor.shape) for tensor in tensors]
