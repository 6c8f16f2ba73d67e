"""Training examples of enhancement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from export_specs.foundation.errors import UserError
from pipeline.data.examples import training_examples
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.training_set import TrainingMixtures
from tests.tiny import SAMPLE_RATE, tiny_spec, write_speech

SAMPLES = 6000
SNR_DB = (-5.0, 10.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    return write_speech(tmp_path_factory.mktemp("speech"))


@pytest.mark.parametrize("snr_db", [SNR_DB, (10.0, 30.0)])
def test_example_is_speech_and_noise_on_the_pcm_grid_at_the_device_s_level(
    snr_db: tuple[float, float], files: list[tuple[str, Path]]
) -> None:
    data = training_examples(tiny_spec(n_src=1).model_copy(update={"noise_snr_db": snr_db}), files, SAMPLES, 12, 0, False)
    for index in range(len(data)):
        mixture, sources = data[index]
        assert mixture.shape == (SAMPLES,) and sources.shape == (1, SAMPLES)
        assert torch.equal(mixture * 32768, (mixture * 32768).round())
        assert 0.5 <= float(mixture.abs().max()) < 1
        noise = mixture - sources[0]
        snr = 10 * np.log10(float(sources.square().sum() / noise.square().sum()))
        assert snr_db[0] - 0.1 <= snr <= snr_db[1] + 0.1


@pytest.mark.parametrize("augment", [False, True])
def test_example_depends_on_seed_epoch_and_index_alone(augment: bool, files: list[tuple[str, Path]]) -> None:
    def example(seed: int, epoch: int, index: int) -> torch.Tensor:
        data = NoisySpeech(files, SAMPLE_RATE, SAMPLES, 4, seed, augment, SNR_DB)
        data.epoch = epoch
        return data[index][0]

    assert torch.equal(example(0, 1, 2), example(0, 1, 2))
    for other in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not torch.equal(example(0, 1, 2), example(*other))


def test_other_voices_are_needed_for_babble(files: list[tuple[str, Path]]) -> None:
    with pytest.raises(UserError, match="two speakers"):
        NoisySpeech(files[:2], SAMPLE_RATE, SAMPLES, 4, 0, False, SNR_DB)


def test_resampled_to_the_model_s_rate(files: list[tuple[str, Path]]) -> None:
    lengths = [
        len(NoisySpeech(files, rate, SAMPLES, 4, 0, False, SNR_DB).utterances.waveform(0)) for rate in (SAMPLE_RATE, 2 * SAMPLE_RATE)
    ]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=2)


@pytest.mark.parametrize(("sources", "kind"), [(1, NoisySpeech), (2, TrainingMixtures)])
def test_examples_fit_the_task(sources: int, kind: type, files: list[tuple[str, Path]]) -> None:
    spec = tiny_spec(n_src=sources)
    examples = training_examples(spec, files, spec.segment_samples, 2, 0, True)
    assert isinstance(examples, kind)
    assert examples[0][1].shape == (sources, spec.segment_samples)


def test_three_sources_are_refused(files: list[tuple[str, Path]]) -> None:
    with pytest.raises(UserError, match="n_src: 3"):
        training_examples(tiny_spec(n_src=3), files, 800, 2, 0, True)
