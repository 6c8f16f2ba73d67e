"""The training examples of a model's task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES, ModelSpec, Task
from pipeline.data.music import AUDIO_CHANNELS
from pipeline.data.music_examples import MusicExamples
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.speech import TrainingFiles
from pipeline.data.training_set import TrainingMixtures

Examples = TrainingMixtures | NoisySpeech | MusicExamples


def training_examples(spec: ModelSpec, files: TrainingFiles, segment_samples: int, length: int, seed: int, augment: bool) -> Examples:
    """Mixtures [T] and sources [S, T]: two speakers for separation, speech in noise for enhancement; [2, T] and [S, 2, T] of music.

    Raises:
        UserError: the task has no examples of that many sources, or the files do not do.
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
    return kind(files, spec.sample_rate, segment_samples, length, seed, augment)
