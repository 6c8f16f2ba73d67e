"""The numpy front end against torch's transforms and against the float network's own standardisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_runtime.spectrogram import FrontEnd, to_spectrogram, to_waveform
from export_specs.file_metadata import FullScale, SpectrogramFrontEnd
from pipeline.networks.htdemucs import spectrogram as trained
from pipeline.networks.htdemucs.model import standardised

TOLERANCE = 1e-4
DESCRIBED = SpectrogramFrontEnd(n_fft=512, input=FullScale(spectrogram=64, waveform=16), output=FullScale(spectrogram=32, waveform=8))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("n_fft", "samples"), [(512, 5120), (512, 5003), (64, 41), (4096, 20000)])
def test_transform_equals_the_training_s(n_fft: int, samples: int) -> None:
    waveform = noise(2, samples)
    expected = trained.to_spectrogram(torch.from_numpy(waveform).float()[None], n_fft)[0].permute(2, 0, 1).numpy()
    result = to_spectrogram(waveform, n_fft)
    assert result.shape == expected.shape == (4, n_fft // 2, -(-samples // (n_fft // 4)))
    np.testing.assert_allclose(result, expected, atol=TOLERANCE)


@pytest.mark.parametrize(("n_fft", "samples"), [(512, 5120), (512, 5003), (4096, 20000)])
def test_inverse_equals_the_training_s(n_fft: int, samples: int) -> None:
    """Of a spectrogram that is no transform of any waveform, as a network gives it."""
    spectrogram = noise(8, n_fft // 2, -(-samples // (n_fft // 4)))
    expected = trained.to_waveform(torch.from_numpy(spectrogram).float().permute(1, 2, 0)[None], n_fft, samples)[0].numpy()
    np.testing.assert_allclose(to_waveform(spectrogram, samples), expected, atol=TOLERANCE)


def test_frames_are_centred_half_a_hop_late() -> None:
    """By torch.stft alone, far from any padding."""
    waveform, n_fft, hop = noise(1, 4096), 256, 64
    window = torch.hann_window(n_fft, dtype=torch.float64)
    late = torch.from_numpy(waveform[:, hop // 2 :])
    expected = torch.stft(late, n_fft, hop, window=window, return_complex=True, normalized=True)[0, :-1, 10:20].numpy()
    result = to_spectrogram(waveform, n_fft)[:, :, 10:20]
    np.testing.assert_allclose(result, [expected.real, expected.imag], atol=1e-9)


def test_inputs_are_standardised_as_in_training() -> None:
    front_end = FrontEnd.of(DESCRIBED)
    assert front_end.output_scales == (32, 8)
    pcm = np.rint(noise(2, 2000) * 4000 + 300).astype(np.int16)
    codes = front_end.analyse(pcm)
    mixture = torch.from_numpy(pcm / 32768).float()[None]
    spectrogram = standardised(trained.to_spectrogram(mixture, 512))[0][0].permute(2, 0, 1).numpy()
    waveform = standardised(mixture)[0][0].numpy()
    for code, values, scale in zip(codes[:2], (spectrogram, waveform), front_end.input_scales, strict=True):
        assert code.dtype == np.int16
        np.testing.assert_allclose(code * (scale / 32768), values, atol=scale / 32768)


def test_there_and_back_is_twice_the_recording() -> None:
    """Both branches give a recording without the highest frequency back, but for its ends; what is lost is the rounding of codes."""
    front_end = FrontEnd(512, (64.0, 16.0), (64.0, 16.0))
    smooth = np.stack([np.convolve(row, np.hanning(9), "same") for row in noise(2, 3000, seed=1)])
    pcm = np.rint(smooth * 1500 - 100).astype(np.int16)
    result = front_end.synthesise(*front_end.analyse(pcm))
    difference = np.abs(result - 2.0 * pcm)[:, 512:-512]
    assert 0 < difference.max() <= 20  # of some 10,000


@pytest.mark.parametrize(("level", "peak"), [(0, 0), (-32768, 0), (1, 0)])
def test_constant_recordings_have_no_deviation(level: int, peak: int) -> None:
    front_end = FrontEnd(64, (8.0, 4.0), (8.0, 4.0))
    _, waveform, statistics = front_end.analyse(np.full((1, 200), level, np.int16))
    assert np.abs(waveform).max() == peak
    assert statistics.waveform == (level / 32768, 0.0)
