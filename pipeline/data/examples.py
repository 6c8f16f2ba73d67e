"""The training examples of a model's task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES, ModelSpec, Task
from pipeline.data.music import AUDIO_CHANNELS
from pipeline.data.music_examples import MusicExamples
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.published import published_layout
from pipeline.data.published_examples import PublishedExamples
from pipeline.data.speech import TrainingFiles, TrainingSpeech
from pipeline.data.training_set import TrainingMixtures

Examples = TrainingMixtures | NoisySpeech | PublishedExamples | MusicExamples


def training_examples(spec: ModelSpec, files: TrainingFiles, segment_samples: int, length: int, seed: int, augment: bool) -> Examples:
    """Mixtures [T] and sources [S, T]: two speakers for separation, speech in noise for enhancement; [2, T] and [S, 2, T] of music.

    They are mixed at random, or are ready ones where the training wants those. What watches a training in noise is ready too: only the
    data set's own mixtures hold noise that is not trained on.

    Raises:
        UserError: the task has no examples of that many sources, the files do not do, or there are no ready mixtures.
    """
    kinds: dict[Task, tuple[Callable[..., Examples], int, int]] = {
        "separation": (TrainingMixtures, 2, 1),
        "enhancement": (partial(NoisySpeech, snr_db=spec.noise_snr_db), 1, 1),
        "music": (MusicExamples, len(MUSIC_SOURCES), AUDIO_CHANNELS),
    }
    kind, sources, channels = kinds[spec.task]
    if spec.n_src != sources:
        raise UserError(f"{spec.name}: examples of {spec.task} have {sources} source(s), the spec says n_src: {spec.n_src}")
    if spec.audio_channels != channels:
        raise UserError(f"{spec.name}: examples of {spec.task} have {channels} channel(s), the network takes {spec.audio_channels}")
    ready = isinstance(files, TrainingSpeech) and files.noisy and not augment
    if spec.training.mixing == "published" or ready:
        if not isinstance(files, TrainingSpeech) or files.published is None:
            raise UserError(f"{spec.name}: training is of published mixtures (mixing), and the data set has none; librimix:DIR has")
        layout = published_layout(spec.task, files.noisy)
        return PublishedExamples(files.published, layout, spec.sample_rate, segment_samples, length, seed)
    return kind(files, spec.sample_rate, segment_samples, length, seed, augment)
