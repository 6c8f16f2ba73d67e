"""Training of the float teacher."""

from __future__ import annotations

from pathlib import Path

import lightning
import typer

from export_specs.schema import ModelSpec, TrainingSpec
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.compiler import compiler_available
from pipeline.data.examples import training_examples
from pipeline.data.speech import TrainingFiles, data_facts
from pipeline.losses.objective import objective_of
from pipeline.networks.build import build_network
from pipeline.training.loop import Mixtures, SeparationTask, fit

VALIDATION_MIXTURES = 64


def train_teacher(
    spec: ModelSpec,
    train_files: TrainingFiles,
    dev_files: TrainingFiles,
    folder: Path,
    workers: int,
    start: Path | None = None,
) -> Path:
    """Train the float network of ``spec``; the run can be stopped and goes on where it stopped.

    Args:
        train_files: the training utterances, or (name, folder) of the tracks of music; ``dev_files`` those that choose the learning rate.
        folder: checkpoints, ``curve.csv`` and the result ``float.safetensors``.
        workers: processes that mix examples, for each that trains.
        start: float weights to go on from; random ones without it.

    Returns:
        The path of the weights.

    Raises:
        UserError: ``start`` does not fit the network.
    """
    training = spec.training
    lightning.seed_everything(training.seed, verbose=False)
    samples = segment_samples(spec, training.segment_seconds)
    train = training_examples(spec, train_files, samples, examples_an_epoch(training), training.seed, True)
    validation = training_examples(spec, dev_files, samples, VALIDATION_MIXTURES, training.seed + 1, False)
    network = build_network(spec)
    if start is not None:
        for note in load_network(network, start, spec):
            typer.echo(f"note: {note}", err=True)
    task = SeparationTask(network, training, training.compiled and compiler_available(), objective_of(spec.task))
    step = fit(task, Mixtures(train, validation, training.batch_size, workers), folder)
    weights = folder / "float.safetensors"
    save_network(task.network, weights, {**facts_of(spec), "step": str(step), **data_facts(train_files)})
    return weights


def examples_an_epoch(training: TrainingSpec) -> int:
    """Training examples of all processes between two validations."""
    return training.epoch_steps * training.batch_size * training.processes


def segment_samples(spec: ModelSpec, seconds: float) -> int:
    """The whole number of encoder frames nearest below ``seconds``, in samples."""
    return spec.network.whole_frames(int(seconds * spec.sample_rate))
