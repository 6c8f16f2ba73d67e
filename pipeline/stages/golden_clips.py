"""Golden clips of a package: the first mixtures of the test set, as the inputs of a TFLite file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from pipeline.data.set_folder import MANIFEST, Pcm
from pipeline.package.c_int8.flatbuffer_reader import Tensor, read_tflite
from pipeline.package.c_int8.golden import Clip


def golden_clips(file: Path, evaluation: Path, samples: int, count: int) -> list[Clip]:
    """``count`` mixtures of ``evaluation``, each with silence after it up to a segment of ``samples``."""
    tensors = read_tflite(file).graphs[0].inputs
    items = json.loads((evaluation / "test" / MANIFEST).read_text())["items"][:count]
    mixtures = [soundfile.read(evaluation / "test" / item["mixture"], dtype="int16")[0].T for item in items]
    return [_clip(mixture, samples, tensors) for mixture in mixtures]


def _clip(pcm: Pcm, samples: int, tensors: tuple[Tensor, ...]) -> Clip:
    """A mixture, silence after it up to a segment, as the inputs of a file.

    A spectrogram gets the samples again and again: whether kernels agree does not depend on what codes stand for, and the transforms of a
    front end are no part of the file.
    """
    segment = np.pad(pcm, [*[(0, 0)] * (pcm.ndim - 1), (0, samples - pcm.shape[-1])])
    return [np.resize(segment, tensor.shape) for tensor in tensors]
