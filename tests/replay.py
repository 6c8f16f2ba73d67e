"""``python -m tests.replay compare main``: the files of all edge networks at two commits, byte by byte.

A refactoring shows with it that ``model.qdq.onnx``, ``model.tflite`` and ``float.onnx`` are what they were. Weights are the committed
ones; where a target's norm has none, the float weights with ranges observed on seeded noise. Small networks cover the settings and
recipes that no edge network has. Nothing is downloaded, rendered or trained. The files' metadata hold no digests here: those of specs and
weight files change with every new setting.

With ``--outputs`` files that differ are run, on zeros, a clip and noise: in LiteRT's reference kernels, and ONNX files in ONNX Runtime. It
is for changes of what files say beside their arithmetic, such as names.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from edge_runtime.runtime import open_runtime
from export_specs.file_metadata import FileMetadata
from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError, run_command_line
from export_specs.load import load_model, load_target
from export_specs.method import Variant
from export_specs.schema import ModelSpec, TargetSpec
from pipeline.checkpoints.loading import load_network
from pipeline.convert.convert import convert
from pipeline.export.float_onnx import export_float
from pipeline.export.qdq import export_qdq
from pipeline.networks.build import build_network
from pipeline.quantization.clipping import fit_ranges
from pipeline.quantization.quantize import freeze_statistics, observe, quantize
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.ties import avoid_ties
from pipeline.stages.shipped_weights import quantized_name
from tests import tiny

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "pipeline" / "weights"
NETWORKS = ("convtasnet", "convtasnet-music", "dptnet", "sepformer", "htdemucs")
TARGETS = ("tflite-int8", "tflite-int8-npu")
NORMS = {load_target(name).norm_recipe: name for name in TARGETS}
TINY = {
    "causal": tiny.tiny_spec(causal=True),
    "sigmoid-mask": tiny.tiny_spec(mask_act="sigmoid", encoder_act="relu"),
    "music": tiny.tiny_music_spec(),
    "dptnet": tiny.tiny_dptnet(),
    "sepformer": tiny.tiny_sepformer(),
    "htdemucs": tiny.tiny_htdemucs(),
}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def build(folder: Annotated[Path, typer.Argument(help="Where the files go, a folder for each network and target.")]) -> None:
    """Write the files of this checkout."""
    torch.set_num_threads(1)
    torch.compiler.set_stance("force_eager")
    for name in NETWORKS:
        spec, float_weights = load_model(name), WEIGHTS / name / "float.safetensors"
        export_float(spec, float_weights, folder / name / "float.onnx")
        for target in map(load_target, TARGETS):
            _write(_trained(spec, "fqss", target) or _observed(spec, target), spec, target, folder / name / target.name)
        vanilla = _trained(spec, "vanilla", load_target(TARGETS[0]))
        if vanilla is not None:
            _write(vanilla, spec, load_target(TARGETS[0]), folder / name / f"{TARGETS[0]}-vanilla")
    for name, spec in TINY.items():
        for recipe in tiny.RECIPES:
            network = tiny.quantized_network(spec, recipe)
            norm = NORMS.get(recipe.norm, "no-target")
            export_qdq(network, FileMetadata.of(spec), folder / f"tiny-{name}" / f"{norm}-{recipe.variant}.qdq.onnx")


def _trained(spec: ModelSpec, variant: Variant, target: TargetSpec) -> nn.Module | None:
    """The network with the committed quantized weights, if there are any."""
    weights = WEIGHTS / spec.name / f"{quantized_name(spec, variant, target.norm_recipe, 'full')}.safetensors"
    if not weights.is_file():
        return None
    network = quantize(build_network(spec), Recipe(variant, target.norm_recipe))
    load_network(network, weights, spec)
    return network


def _observed(spec: ModelSpec, target: TargetSpec) -> nn.Module:
    network = build_network(spec)
    load_network(network, WEIGHTS / spec.name / "float.safetensors", spec)
    twin = quantize(network, Recipe("fqss", target.norm_recipe))
    noise = [tiny.mixtures(spec, 1, seed) for seed in range(2)]
    observe(twin, noise)
    fit_ranges(twin, noise)
    freeze_statistics(twin, True)
    avoid_ties(twin)
    return twin


def _write(network: nn.Module, spec: ModelSpec, target: TargetSpec, folder: Path) -> None:
    """The files for a target; where it does not take the network, the reason."""
    export_qdq(network, FileMetadata.of(spec), folder / "model.qdq.onnx")
    try:
        convert(folder / "model.qdq.onnx", folder / "model.tflite", target.allowed_ops)
    except UserError as refusal:
        write_text(folder / "refusal.txt", f"{refusal}\n")


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="Commit with the files as they shall be.")],
    commit: Annotated[str, typer.Argument(help="Commit to compare with it; this checkout with its changes if not given.")] = "",
    outputs: Annotated[bool, typer.Option("--outputs", help="Files with other bytes are equal that give the same outputs.")] = False,
) -> None:
    """Build the files of two commits and compare them; exit code 1 where they differ."""
    table, unequal = Table(title=f"{base} and {commit or 'this checkout'}"), 0
    for column in ("file", "bytes", "result"):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as scratch:
        sides = Path(scratch, "base"), Path(scratch, "commit")
        for revision, folder in zip((base, commit), sides, strict=True):
            _build_at(revision, folder)
        names = sorted({str(path.relative_to(side)) for side in sides for path in side.rglob("*.*")})
        for name in names:
            there = [path for side in sides if (path := side / name).is_file()]
            result = (
                _compared(*there, outputs) if len(there) == len(sides) else f"only {'there' if there[0] == sides[0] / name else 'here'}"
            )
            unequal += not result.startswith("equal")
            table.add_row(name, " / ".join(f"{path.stat().st_size:,}" for path in there[: 1 if result == "equal" else 2]), result)
    Console().print(table)
    typer.echo(f"replay: {len(names) - unequal} of {len(names)} files equal")
    if unequal:
        raise UserError(f"{unequal} files differ between {base} and {commit or 'this checkout'}")


def _compared(first: Path, second: Path, outputs: bool) -> str:
    """What is the same of two files."""
    if filecmp.cmp(first, second, shallow=False):
        return "equal"
    return "equal outputs" if outputs and first.suffix in (".onnx", ".tflite") and same_outputs(first, second) else "DIFFERENT"


def same_outputs(first: Path, second: Path) -> bool:
    """Whether two model files of one network give the same PCM for a segment of zeros, of a clip of bursts and of noise."""
    opened = [open_runtime(path, "litert-ref" if path.suffix == ".tflite" else "onnxruntime") for path in (first, second)]
    shape = opened[0].waveform
    if opened[1].waveform != shape:
        return False
    clip = np.resize(tiny.waveforms(1, tiny.SAMPLE_RATE)[0].numpy() * 32768, shape)
    signals = (np.zeros(shape), np.clip(np.rint(clip), -32768, 32767), np.random.default_rng(0).integers(-32768, 32768, shape))
    return all(np.array_equal(*(runtime.run(signal.astype(np.int16)) for runtime in opened)) for signal in signals)


def _build_at(commit: str, folder: Path) -> None:
    """The files of a commit, each commit's by its own code, in a process of its own."""
    command = [sys.executable, "-m", "tests.replay", "build", str(folder)]
    with _checkout(commit) as place:
        environment = {**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
        if subprocess.run(command, cwd=place, env=environment, check=False).returncode:
            raise UserError(f"the files of {commit or 'this checkout'} could not be built, see above; is it older than tests/replay.py?")


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, removed afterwards; this checkout for ""."""
    if not commit:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as scratch:
        place, git = Path(scratch, "checkout"), ["git", "-C", str(ROOT), "worktree"]
        if subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=False).returncode:
            raise UserError(f"'{commit}' is no commit")
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


if __name__ == "__main__":
    run_command_line(app)
