"""Files of two branches: what fits, what is refused, and that the float and the integer form give the same PCM."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.branch_signature import BranchSignature, signature_of
from edge_runtime.model_file import ModelFile, TensorInfo
from export_specs.file_metadata import FileMetadata, FullScale, SpectrogramFrontEnd
from export_specs.foundation.errors import UserError

SCALES = FullScale(spectrogram=16, waveform=8)
FRONT_END = SpectrogramFrontEnd(n_fft=64, input=SCALES, output=SCALES)
METADATA = FileMetadata(model="tiny", sample_rate=44100, segment_samples=160, sources=4, front_end=FRONT_END)
SHAPES = ((1, 4, 32, 10), (1, 2, 160), (1, 16, 32, 10), (1, 8, 160))


def model(shapes: tuple[tuple[int, ...], ...] = SHAPES, dtype: str = "int16") -> ModelFile:
    tensors = tuple(TensorInfo(f"t{number}", shape, dtype) for number, shape in enumerate(shapes))
    return ModelFile(Path("m.tflite"), "tflite", b"", tensors[:2], tensors[2:], (), 0, Counter(), Counter(), METADATA)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_outputs_are_the_sum_of_both_branches(dtype: str) -> None:
    """A model that gives each input back for every source: twice the recording, but for the ends."""
    signature = signature_of(model(dtype=dtype))
    assert isinstance(signature, BranchSignature)
    assert (signature.waveform, signature.samples, signature.sources) == ((2, 160), 160, 4)
    smooth = np.convolve(np.random.default_rng(0).normal(size=400), np.hanning(15), "same")[100:260]
    pcm = np.rint(np.stack([smooth, smooth[::-1]]) * 1000).astype(np.int16)
    tensors, decode = signature.feed(pcm)
    assert [(tensor.dtype.name, tensor.shape) for tensor in tensors] == [(dtype, shape) for shape in SHAPES[:2]]
    result = decode([np.concatenate([tensor] * 4, axis=1) for tensor in tensors])
    assert result.dtype == np.int16 and result.shape == (4, 2, 160)
    inside = slice(48, -48)
    np.testing.assert_allclose(result[3, :, inside], 2 * pcm[:, inside].astype(float), atol=0.01 * np.abs(pcm).max())


def test_a_segment_of_another_shape_is_an_error() -> None:
    signature = signature_of(model())
    assert isinstance(signature, BranchSignature)
    with pytest.raises(ValueError, match=r"int16 \[2, 160\]"):
        signature.feed(np.zeros((2, 161), np.int16))


@pytest.mark.parametrize(
    ("shapes", "dtype", "reason"),
    [
        (SHAPES[:3], "int16", "two inputs and two outputs"),
        (SHAPES, "int8", "two inputs and two outputs"),
        ((*SHAPES[:3], (1, 7, 160)), "int16", "waveforms are not"),
        ((SHAPES[0], (1, 160), *SHAPES[2:]), "int16", "waveforms are not"),
        (((1, 4, 32, 9), *SHAPES[1:]), "int16", "32 frequencies and 10 frames"),
        ((*SHAPES[:2], (1, 8, 32, 10), SHAPES[3]), "int16", "32 frequencies and 10 frames"),
    ],
)
def test_other_files_are_refused(shapes: tuple[tuple[int, ...], ...], dtype: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        signature_of(model(shapes, dtype))
