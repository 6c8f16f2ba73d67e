"""Two audio channels and sources with names: signature, segments, recordings in and out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_runtime.model_file import ModelFile, TensorInfo
from edge_runtime.segments import SegmentSeparator, align, separate
from edge_runtime.signature import fit_signature
from edge_runtime.source_files import source_files
from export_specs.foundation.errors import UserError
from tests.edge_runtime.recordings import measured, restored

NAMES = ("drums", "vocals")


class Fake:
    """A stereo runtime that gives the mixture, and the mixture with its channels swapped; keeps what it was given."""

    sample_rate, segment_samples, sources = 44100, 16, 2

    def __init__(self, source_names: tuple[str, ...]) -> None:
        self.source_names, self.quantization, self.calls = source_names, {}, 0

    def run(self, pcm: np.ndarray) -> np.ndarray:
        assert pcm.shape == (2, self.segment_samples)
        self.calls += 1
        outputs = np.stack([pcm, pcm[::-1]])
        return outputs if self.source_names or self.calls % 2 else outputs[::-1]  # without names in any order

    def run_with_taps(self, pcm: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.run(pcm), {}


def model(*shapes: tuple[int, ...]) -> ModelFile:
    tensors = [(TensorInfo("x", shape, "int16"),) for shape in shapes]
    return ModelFile(Path("m.tflite"), "tflite", b"", *tensors, (), 0, Counter(), Counter(), {})


def recording(samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9000, 9000, (2, samples)).astype(np.int16)


def test_signature_of_two_channels() -> None:
    signature = fit_signature(model((1, 2, 16), (1, 4, 2, 16)))
    assert (signature.waveform, signature.samples, signature.sources) == ((2, 16), 16, 4)
    pcm = recording(16)
    assert signature.encode(pcm).shape == (1, 2, 16)
    assert signature.decode(np.stack([pcm] * 4)[None]).shape == (4, 2, 16)
    assert fit_signature(model((1, 2, 16), (1, 1, 2, 16))).sources == 1
    with pytest.raises(ValueError, match=r"int16 \[2, 16\]"):
        signature.encode(pcm[0])
    interleaved = fit_signature(model((1, 16, 2), (1, 4, 2, 16)))
    assert interleaved.waveform == (2, 16)
    np.testing.assert_array_equal(interleaved.encode(pcm)[0], pcm.T)


@pytest.mark.parametrize(
    "shapes", [((1, 2, 16), (1, 4, 16)), ((1, 2, 16), (1, 4, 16, 2)), ((1, 16, 16), (1, 4, 16, 16)), ((2, 3, 16), (1, 4))]
)
def test_other_signatures_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UserError, match="signature of another kind of model"):
        fit_signature(model(*shapes))


@pytest.mark.parametrize("names", [(), NAMES])
@pytest.mark.parametrize("samples", [5, 16, 30, 100])
def test_streamed_in_pieces_equals_whole(names: tuple[str, ...], samples: int) -> None:
    """Equal overlaps are kept by the cross-fade, whatever order the sources come in."""
    pcm = recording(samples)
    expected = np.stack([pcm, pcm[::-1]])
    np.testing.assert_array_equal(separate(Fake(names), pcm), expected)
    separator = SegmentSeparator(Fake(names))
    pieces = [separator.push(pcm[:, start : start + 7]) for start in range(0, samples, 7)]
    np.testing.assert_array_equal(np.concatenate([*pieces, separator.finish()], axis=-1), expected)


def test_sources_are_aligned_over_all_their_channels() -> None:
    pcm = recording(40)
    sources = np.stack([pcm, pcm[::-1]])
    assert align(sources, sources[::-1]) == [1, 0]


def test_recordings_of_one_two_and_six_channels(tmp_path: Path) -> None:
    path, pcm = tmp_path / "mix.wav", recording(900)
    soundfile.write(path, pcm.T, 44100, subtype="PCM_16")
    read = measured(path, 44100, audio_channels=2)
    np.testing.assert_array_equal(read.pcm, pcm)
    np.testing.assert_array_equal(measured(path, 44100, "2", audio_channels=2).pcm, pcm[[1, 1]])
    np.testing.assert_array_equal(restored(np.stack([pcm] * 4), read) * 32768, np.stack([pcm] * 4))
    soundfile.write(path, pcm[0], 44100, subtype="PCM_16")
    np.testing.assert_array_equal(measured(path, 44100, audio_channels=2).pcm, pcm[[0, 0]])
    soundfile.write(path, np.tile(pcm, (3, 1)).T, 44100, subtype="PCM_16")
    with pytest.raises(UserError, match="6 channels, the model 2: choose one with --channel"):
        measured(path, 44100, audio_channels=2)


def test_another_rate_comes_back_at_its_own(tmp_path: Path) -> None:
    time = np.arange(4800) / 48000
    tones = 0.3 * np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 660 * time)], axis=1)
    soundfile.write(tmp_path / "mix.wav", tones, 48000, subtype="FLOAT")
    read = measured(tmp_path / "mix.wav", 44100, audio_channels=2)
    assert read.pcm.shape == (2, 4410)
    back = restored(np.stack([read.pcm, -read.pcm]), read)
    assert np.abs(back[0, :, 300:-300] - tones.T[:, 300:-300]).max() < 1e-3
    np.testing.assert_array_equal(back[1], -back[0])


def test_files_are_named_after_the_sources(tmp_path: Path) -> None:
    pcm = recording(50)
    soundfile.write(tmp_path / "song.wav", pcm.T, 44100, subtype="PCM_16")
    with source_files(tmp_path, "song", 2, measured(tmp_path / "song.wav", 44100, audio_channels=2), names=NAMES) as files:
        files.write(np.stack([pcm, -pcm]))
    paths = files.paths
    assert [path.name for path in paths] == ["song_drums.wav", "song_vocals.wav"]
    found, rate = soundfile.read(paths[0], dtype="int16")
    assert rate == 44100
    np.testing.assert_array_equal(found.T, pcm)
