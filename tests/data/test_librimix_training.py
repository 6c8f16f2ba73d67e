"""Training on LibriMix: recorded noise in mixtures of our own, and its ready mixtures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from export_specs.foundation.errors import UserError
from export_specs.schema import ModelSpec
from pipeline.data.augmentation import Noise
from pipeline.data.examples import training_examples
from pipeline.data.published_examples import PublishedExamples
from pipeline.data.sources import LIBRIMIX_NOISE, open_list, training_files
from pipeline.data.speech import TrainingSpeech
from pipeline.data.training_set import TrainingMixtures
from pipeline.stages.data_choice import data_identity
from tests.data.test_data_sets import write_librimix
from tests.tiny import tiny_spec

RATE, SAMPLES = 8000, 4000


@pytest.fixture
def librimix(tmp_path: Path) -> Path:
    """Two seconds of white noise as every part, but for tones as the noise: 1 kHz to train with, 2 kHz to watch it with."""
    write_librimix(tmp_path / "mix")
    for part, hertz in (("train-360", 1000), ("dev", 2000)):
        for path in (tmp_path / "mix" / part / "noise").iterdir():
            soundfile.write(path, 0.02 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE), RATE)
    return tmp_path / "mix"


def spec_of(mixing: str = "random", **changes: object) -> ModelSpec:
    spec = tiny_spec().model_copy(update=changes)
    return spec.model_copy(update={"training": spec.training.model_copy(update={"mixing": mixing})})


def noise_of(example: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    mixture, sources = example
    found: np.ndarray = (mixture - sources.sum(dim=0)).numpy()
    return found


def hertz_of(noise: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(noise))) * RATE / len(noise))


def test_noisy_mixtures_are_trained_with_the_training_parts_noise_and_watched_with_that_of_dev(librimix: Path) -> None:
    train, dev = training_files(f"librimix-both:{librimix}", RATE)
    drawn = training_examples(spec_of(), train, SAMPLES, 8, 0, True)
    watching = training_examples(spec_of(), dev, SAMPLES, 8, 1, False)
    assert isinstance(drawn, TrainingMixtures) and isinstance(watching, PublishedExamples)
    for examples, hertz in ((drawn, 1000), (watching, 2000)):
        for index in range(8):
            assert hertz_of(noise_of(examples[index])) == hertz
    snr = [10 * np.log10(np.var(drawn[k][1].sum(dim=0).numpy()) / np.var(noise_of(drawn[k]))) for k in range(8)]
    assert LIBRIMIX_NOISE.snr_db[0] - 0.1 < min(snr) and max(snr) < LIBRIMIX_NOISE.snr_db[1] + 0.1 and np.ptp(snr) > 4


def test_enhancement_takes_the_recorded_noise_and_separation_without_noise_does_not(librimix: Path) -> None:
    train, _ = training_files(f"librimix:{librimix}", RATE, "enhancement")
    noisy = training_examples(spec_of(task="enhancement", n_src=1), train, SAMPLES, 2, 0, False)
    assert hertz_of(noise_of(noisy[0])) == 1000
    train, _ = training_files(f"librimix:{librimix}", RATE)
    assert np.abs(noise_of(training_examples(spec_of(), train, SAMPLES, 2, 0, True)[0])).max() == 0


@pytest.mark.parametrize("kind", ["librimix", "librimix-both"])
def test_published_mixtures_are_cut_not_mixed(kind: str, librimix: Path) -> None:
    train, _ = training_files(f"{kind}:{librimix}", RATE)
    examples = training_examples(spec_of("published"), train, SAMPLES, 20, 0, True)
    parts = ("s1", "s2", "noise")[: 3 if kind == "librimix-both" else 2]
    published = {
        path.name: np.stack([soundfile.read(librimix / "train-360" / part / path.name)[0] for part in parts])
        for path in (librimix / "train-360" / "s1").iterdir()
    }
    seen = set()
    for mixture, sources in (examples[index] for index in range(20)):
        cut = np.stack([*sources.numpy(), (mixture - sources.sum(dim=0)).numpy()])[: len(parts)]
        name, place, gain = place_of(cut, published)
        seen.add(name)
        np.testing.assert_allclose(cut, gain * published[name][:, place : place + SAMPLES], atol=1 / 32768)
        assert np.log2(gain) == pytest.approx(round(np.log2(gain)))
    assert seen == set(published)
    torch.testing.assert_close(examples[3], training_examples(spec_of("published"), train, SAMPLES, 20, 0, True)[3])


def place_of(cut: np.ndarray, published: dict[str, np.ndarray]) -> tuple[str, int, float]:
    """Which mixture it is of, where it begins there, and by how much it is louder."""
    found = {name: np.correlate(parts[0], cut[0]) for name, parts in published.items()}
    name = max(found, key=lambda name: found[name].max())
    place = int(found[name].argmax())
    original = published[name][0, place : place + SAMPLES]
    return name, place, float(cut[0] @ original / (original @ original))


def test_a_place_where_a_source_pauses_is_not_taken(librimix: Path) -> None:
    for path in (librimix / "train-360" / "s2").iterdir():
        samples = np.zeros(2 * RATE)
        samples[6000:9000] = 0.1 * np.random.default_rng(0).standard_normal(3000)
        soundfile.write(path, samples, RATE)
    train, _ = training_files(f"librimix:{librimix}", RATE)
    examples = training_examples(spec_of("published"), train, SAMPLES, 30, 0, True)
    audible = [float(examples[index][1][1].square().mean().sqrt()) > 0.001 for index in range(30)]
    assert sum(audible) >= 29  # of a random place 7 of 16 hold none of it: all 8 tries do of one in 700


def test_what_is_not_there_is_said(librimix: Path) -> None:
    speech = TrainingSpeech([("a", librimix)])
    with pytest.raises(UserError, match=r"training is of published mixtures .*, and the data set has none; librimix:DIR has"):
        training_examples(spec_of("published"), speech, SAMPLES, 2, 0, True)
    train, _ = training_files(f"librimix-both:{librimix}", RATE)
    shutil.rmtree(librimix / "train-360" / "noise")
    with pytest.raises(UserError, match="train-360 holds mix_both but not noise, of which it is the sum"):
        training_examples(spec_of("published"), train, SAMPLES, 2, 0, True)
    with pytest.raises(UserError, match="train-360/noise holds no audio; mixtures with noise are trained with it"):
        training_files(f"librimix-both:{librimix}", RATE)


def test_a_silent_source_is_refused_when_its_turn_comes(librimix: Path) -> None:
    """A target of zeros has no SI-SDR."""
    for path in (librimix / "train-360" / "s2").iterdir():
        soundfile.write(path, np.zeros(2 * RATE), RATE)
    train, _ = training_files(f"librimix:{librimix}", RATE)
    with pytest.raises(UserError, match="a part of it is silent; remove it from the data set"):
        training_examples(spec_of("published"), train, SAMPLES, 2, 0, True)[0]


def write_list(folder: Path, data: str, **augmentation: object) -> Path:
    path = folder / "list.yaml"
    path.write_text(f"name: mix\nparts: [{{data: {data}}}]\naugmentation: {augmentation}\n")
    return path


def test_a_lists_noise_may_be_recorded(librimix: Path) -> None:
    noise = {"share": 1.0, "snr_db": [5, 5], "recorded": "mix/train-360/noise"}
    path = write_list(librimix.parent, "librimix:mix", noise=noise)
    train, _ = training_files(str(path), RATE)
    assert isinstance(train, TrainingSpeech)
    assert train.augmentation.noise == Noise(share=1, snr_db=(5, 5), recorded=f"{librimix}/train-360/noise")
    example = training_examples(spec_of(), train, SAMPLES, 2, 0, True)[0]
    assert hertz_of(noise_of(example)) == 1000
    assert 10 * np.log10(np.var(example[1].sum(dim=0).numpy()) / np.var(noise_of(example))) == pytest.approx(5, abs=0.05)
    digest, identity = train.digest, data_identity(str(path))
    moved = librimix.parent / "elsewhere"
    shutil.move(librimix, moved / "mix")
    shutil.move(path, moved / "list.yaml")
    again, _ = training_files(str(moved / "list.yaml"), RATE)
    assert isinstance(again, TrainingSpeech) and again.digest == digest, "the same data elsewhere"
    soundfile.write(moved / "mix" / "train-360" / "noise" / "more.wav", np.zeros(RATE), RATE)
    more, _ = training_files(str(moved / "list.yaml"), RATE)
    assert isinstance(more, TrainingSpeech) and more.digest != digest
    assert data_identity(str(moved / "list.yaml")) != identity


def test_a_lists_noise_that_is_not_there(librimix: Path) -> None:
    (librimix / "nothing").mkdir()
    path = write_list(librimix.parent, "librimix:mix", noise={"share": 1.0, "recorded": "mix/nothing"})
    with pytest.raises(UserError, match=r"augmentation: noise: recorded: .*mix/nothing holds no audio"):
        training_files(str(path), RATE)
    with pytest.raises(UserError, match=r"noise stands in its augmentation: name librimix:.*mix, and the noise as noise: recorded"):
        open_list(write_list(librimix.parent, "librimix-both:mix"), RATE)
