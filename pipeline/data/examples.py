"""The training examples of a model's task."""

from __future__ import annotations

from pathlib import Path

from export_specs.errors import UserError
from export_specs.schema import ModelSpec
from pipeline.data.noisy_speech import NoisySpeech
from pipeline.data.training_set import TrainingMixtures

Examples = TrainingMixtures | NoisySpeech


def training_examples(
    spec: ModelSpec, files: list[tuple[str, Path]], segment_samples: int, length: int, seed: int, augment: bool
) -> Examples:
    """Mixtures [T] and sources [S, T]: two speakers for separation, speech in noise for enhancement.

    Raises:
        UserError: the task has no examples of that many sources, or the files do not do.
    """
    kind, sources = (NoisySpeech, 1) if spec.task == "enhancement" else (TrainingMixtures, 2)
    if spec.n_src != sources:
        raise UserError(f"{spec.name}: examples of {spec.task} have {sources} source(s), the spec says n_src: {spec.n_src}")
    return kind(files, spec.sample_rate, segment_samples, length, seed, augment)
