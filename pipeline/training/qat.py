"""Quantization-aware training: ranges are observed for 50 batches, then trained with the weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from export_specs.foundation.progress import tracked
from export_specs.method import METHODS, Method
from export_specs.schema import Averaging, Hardware, ModelSpec, QatProfile, TrainingSpec
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import save_network
from pipeline.compiler import compiler_available
from pipeline.data.examples import training_examples
from pipeline.data.speech import TrainingFiles, data_facts
from pipeline.layers.decoder.quantized import QuantizedDecoder
from pipeline.layers.ends import FilterbankOutput
from pipeline.losses.objective import SPEECH, Objective, objective_of
from pipeline.losses.si_sdr import best_permutation, level_factor, reorder
from pipeline.networks.build import build_network
from pipeline.networks.network import Network
from pipeline.quantization.bias_correction import correct_biases
from pipeline.quantization.bypass import leave_float
from pipeline.quantization.clipping import fit_ranges
from pipeline.quantization.equalization import equalize_features
from pipeline.quantization.grid import OBSERVED_BATCHES
from pipeline.quantization.quantize import freeze_statistics, observe, quantize, range_parameters
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.ties import avoid_ties
from pipeline.training.loop import Mixtures, SeparationTask, fit
from pipeline.training.teacher import VALIDATION_MIXTURES, examples_an_epoch, segment_samples

RANGE_RATE = 3.0
LEVEL_BATCHES = 8
FITTED_BATCHES = 8  # of those observed; the others change the ranges little
CORRECTED_BATCHES = 2  # 8 mixtures at once; 64 give no better means


class QuantizedTask(SeparationTask):
    """Trains the quantized network; with a ``teacher`` by SAKD as ``method`` has it, without one on the task alone (vanilla QAT).

    Where ``compiled``, torch.compile takes the teacher's forward pass. The student's fake quantizers are compiled one by one: a whole
    network of them takes minutes to compile.
    """

    def __init__(
        self,
        network: nn.Module,
        training: TrainingSpec,
        compiled: bool,
        teacher: nn.Module | None,
        objective: Objective = SPEECH,
        method: Method = METHODS["fqss"],
    ) -> None:
        super().__init__(network, training, False, objective)
        self.method = method
        if teacher is not None:
            teacher = teacher.eval().requires_grad_(False)
        self.teacher = None if teacher is None else [torch.compile(teacher) if compiled else teacher]  # in a list: no part of a checkpoint
        self.groups = grouped_by_rate(network, training.learning_rate)  # now: a resumed run restores the ranges before it asks for them

    def loss(self, mixture: Tensor, sources: Tensor) -> Tensor:
        student = self.run_network(mixture)
        if self.teacher is None:
            return self.objective.loss(student, sources)
        with torch.no_grad():
            teacher = self.teacher[0](mixture)
        return self.objective.distilled(student, teacher, sources, self.method)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return self.groups

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["observed_batches"] = OBSERVED_BATCHES


def grouped_by_rate(network: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """Adam's groups: weights at the learning rate, ranges at RANGE_RATE times it for each unit of their size, to a power of two.

    Adam moves a parameter by about its rate a step, and ranges differ by orders of magnitude.
    """
    ranges = range_parameters(network)
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            size = float(parameter.detach().abs().mean()) if id(parameter) in ranges else 0.0
            factor = RANGE_RATE * 2.0 ** round(math.log2(max(size, 1e-3))) if size else 1.0
            groups.setdefault(factor, []).append(parameter)
    weights_first = sorted(groups, key=lambda factor: (factor != 1, factor))  # the curve shows the first one's rate
    return [{"params": groups[factor], "lr": factor * learning_rate} for factor in weights_first]


def output_level(network: nn.Module, mixtures: Tensor, sources: Tensor) -> float:
    """The factor, in least squares over all samples, that brings the outputs to the sources' level, which training with SI-SDR leaves open.

    Args:
        mixtures: [B, T]; ``sources``: [B, S, T].
    """
    with torch.no_grad():
        estimate = network.eval()(mixtures)
        estimate = reorder(estimate, best_permutation(estimate, sources))
        return float(level_factor(estimate.flatten(0, 1)[None], sources.flatten(0, 1)[None]))


def match_output_level(network: nn.Module, mixtures: Tensor, sources: Tensor) -> float:
    """Scale the synthesis filterbank of a float network by :func:`output_level`, which is returned."""
    factor = output_level(network, mixtures, sources)
    next(layer for layer in network.modules() if isinstance(layer, FilterbankOutput)).scale_output(factor)
    return factor


def plan_of(spec: ModelSpec, profile: QatProfile) -> TrainingSpec:
    """The settings of quantization-aware training by a profile, as those of any training; at least one step."""
    return TrainingSpec(
        steps=max(1, profile.steps),
        batch_size=profile.batch_size,
        learning_rate=profile.learning_rate,
        segment_seconds=profile.segment_seconds,
        cooldown_steps=profile.steps // 2,
        epoch_steps=max(1, min(500, profile.steps)),
        seed=spec.training.seed + 2 + profile.seed,
        **{name: getattr(profile, name) for name in (*Hardware.model_fields, *Averaging.model_fields)},
    )


def freeze_ranges(twin: nn.Module) -> None:
    """Keep the ranges of activations and weights where they are."""
    ranges = range_parameters(twin)
    for parameter in twin.parameters():
        if id(parameter) in ranges:
            parameter.requires_grad_(False)


def train_quantized(
    spec: ModelSpec,
    recipe: Recipe,
    profile: QatProfile,
    float_weights: Path,
    train_files: TrainingFiles,
    dev_files: TrainingFiles,
    folder: Path,
    workers: int = 0,
    start: Path | None = None,
) -> Path:
    """Observe ranges and, unless ``profile.steps`` is 0 (post-training), train; an interrupted run goes on.

    Args:
        float_weights: the teacher, which is also where the student starts.
        folder: checkpoints, ``curve.csv`` and the result ``quantized.safetensors``.
        start: a quantized network's state by the same recipe: the student starts there instead, with that one's ranges.

    Returns:
        The path of the quantized network's state: weights, ranges, statistics and the number of observed batches.
    """
    training, method = plan_of(spec, profile), recipe.method
    lightning.seed_everything(training.seed, verbose=False)
    samples = segment_samples(spec, profile.segment_seconds)
    rows = min(4, profile.batch_size)
    whole = training_examples(spec, train_files, spec.segment_samples, OBSERVED_BATCHES * rows, training.seed, False)
    examples = ([whole[rows * step + row] for row in range(rows)] for step in range(OBSERVED_BATCHES))
    mixed = tracked(examples, "mixtures for the ranges, batch", OBSERVED_BATCHES)
    batches = [[torch.stack(part) for part in zip(*batch, strict=True)] for batch in mixed]
    teacher = build_network(spec)
    load_network(teacher, float_weights, spec)
    known = [torch.cat(part) for part in zip(*batches[:LEVEL_BATCHES], strict=True)]
    objective = objective_of(spec.task)
    if objective.open_level:
        match_output_level(teacher, *known)
    if start is not None:
        student = load_quantized(spec, recipe, start).train()
        freeze_statistics(student, False)
    else:
        student = quantize(teacher, recipe)
        observe(student, [mixture for mixture, _ in batches])
        if method.calibration == "least-error":
            equalize_features(student, [mixture for mixture, _ in batches[:FITTED_BATCHES]])
            fit_ranges(student, [mixture for mixture, _ in batches[:FITTED_BATCHES]])
            correct_biases(student, torch.cat([mixture for mixture, _ in batches[:CORRECTED_BATCHES]]))
        leave_float(student, method)
    if profile.steps:
        train = training_examples(spec, train_files, samples, examples_an_epoch(training), training.seed, True)
        validation = training_examples(spec, dev_files, samples, VALIDATION_MIXTURES, training.seed + 1, False)
        compiled = spec.training.compiled and compiler_available()
        if method.ranges == "frozen":
            freeze_ranges(student)
        task = QuantizedTask(student, training, compiled, teacher if method.kd_lambda else None, objective, method)
        fit(task, Mixtures(train, validation, profile.batch_size, workers), folder)
        if objective.open_level:
            decoder = next(layer for layer in student.modules() if isinstance(layer, QuantizedDecoder))
            decoder.scale_output(output_level(student, *known))
    freeze_statistics(student, True)
    avoid_ties(student)
    result = folder / "quantized.safetensors"
    facts = {"model": spec.name, "variant": recipe.variant, "norm": recipe.norm, "observed_batches": str(OBSERVED_BATCHES)}
    if recipe.changed is not None:
        facts["changed"] = recipe.changed.model_dump_json()
    save_network(student, result, {**facts, **data_facts(train_files)})
    return result


def load_quantized(spec: ModelSpec, recipe: Recipe, path: Path) -> Network:
    """The quantized network of a checkpoint, in eval mode.

    Raises:
        UserError: the checkpoint does not fit.
    """
    network = quantize(build_network(spec), recipe)
    load_network(network, path, spec)
    leave_float(network, recipe.method)
    return network.eval()
