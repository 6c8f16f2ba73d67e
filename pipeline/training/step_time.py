"""``python -m pipeline.training.step_time``: seconds of a training step of the float network and of its quantized twin, in turns."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import lightning
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import run_command_line
from export_specs.load import load_model, load_target
from export_specs.schema import ModelSpec
from pipeline.allocator import keep_freed_memory
from pipeline.compiler import compiler_available
from pipeline.losses.objective import objective_of
from pipeline.networks.build import build_network
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe
from pipeline.training.qat import QuantizedTask
from pipeline.training.teacher import segment_samples

WARM_UP = 2
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def step_seconds(spec: ModelSpec, norm: str, profile: str, steps: int) -> dict[str, list[float]]:
    """Seconds of each step (forward, backward, Adam) on random examples of the profile's size, the three kinds in turns.

    The trained networks run as they do in quantization-aware training, without torch.compile; the teacher is compiled where the
    spec asks for it and the machine can.

    Returns:
        ``float``; ``vanilla`` QAT on the task's loss; ``fqss``, with splitter, reconstructor and the teacher's forward pass.
    """
    keep_freed_memory()
    lightning.seed_everything(0, verbose=False)
    settings = next(value for name, value in spec.profiles.items() if name == profile)
    samples = segment_samples(spec, settings.segment_seconds)
    channels = [] if spec.audio_channels == 1 else [spec.audio_channels]
    sources = 0.1 * torch.randn(settings.batch_size, spec.n_src, *channels, samples)
    objective = objective_of(spec.task)
    mixture = sources.sum(1)
    teacher = build_network(spec)
    tasks: dict[str, nn.Module] = {"float": build_network(spec)}
    losses = {"float": lambda: objective.loss(tasks["float"](mixture), sources)}
    for variant in ("vanilla", "fqss"):
        student = quantize(teacher, Recipe(variant, norm))
        observe(student, [mixture])
        compiled = spec.training.compiled and compiler_available()
        task = QuantizedTask(student.train(), spec.training, compiled, teacher if variant == "fqss" else None, objective)
        tasks[variant] = student
        losses[variant] = lambda task=task: task.loss(mixture, sources)  # type: ignore[misc]
    optimizers = {name: torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-5) for name, network in tasks.items()}
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(WARM_UP + steps):
        for name, optimizer in optimizers.items():
            start = time.perf_counter()
            optimizer.zero_grad()
            losses[name]().mean().backward()
            optimizer.step()
            taken[name].append(time.perf_counter() - start)
    return {name: values[WARM_UP:] for name, values in taken.items()}


def ratios_to_float(seconds: dict[str, list[float]]) -> dict[str, tuple[float, float, float]]:
    """Lower quartile, median and upper quartile of each turn's step over the float step of the same turn."""
    ratios = {name: [a / b for a, b in zip(values, seconds["float"], strict=True)] for name, values in seconds.items()}
    return {name: tuple(statistics.quantiles(values, n=4, method="inclusive")) for name, values in ratios.items()}  # type: ignore[misc]


@app.command()
def run(
    model: Annotated[str, typer.Option(help="Model name or spec file.")] = "convtasnet",
    target: Annotated[str, typer.Option(help="Target whose integer norm is used.")] = "tflite-int8",
    profile: Annotated[str, typer.Option(help="Profile whose batch and segment are used.")] = "quick",
    steps: Annotated[int, typer.Option(min=3, help="Measured steps of each.")] = 15,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("step-time.json"),
) -> None:
    """Time a step of quantization-aware training beside a float one."""
    seconds = step_seconds(load_model(model), load_target(target).norm_recipe, profile, steps)
    ratios = ratios_to_float(seconds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    quartiles = {name: dict(zip(("lower", "median", "upper"), values, strict=True)) for name, values in ratios.items()}
    write_text(out, json.dumps({"seconds": medians, "ratio_to_float": quartiles}, indent=1))
    table = Table(title=f"training step, medians of {steps} taken in turns ({torch.get_num_threads()} threads)")
    for column in ("step", "seconds", "× float", "quartiles"):
        table.add_column(column)
    for name, (lower, ratio, upper) in ratios.items():
        table.add_row(name, f"{medians[name]:.3f}", f"{ratio:.2f}", f"{lower:.2f} to {upper:.2f}")
    Console().print(table)


if __name__ == "__main__":
    run_command_line(app)
