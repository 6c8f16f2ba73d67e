"""The whole judgement, from judge.json to a folder with the report."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from export_specs.foundation.atomic import sha256
from export_specs.load import load_target
from export_specs.schema import TargetSpec
from validation.config import JudgeConfig, SetConfig
from validation.evaluation_set import EvaluationSet, read_evaluation_set
from validation.gates import (
    exact_gate,
    level_gates,
    memory_gate,
    near_gate,
    resource_gates,
    structure_gates,
    task_gates,
    theory_gates,
    verdict,
    waveform_gate,
)
from validation.inspection import Inspection, artefact, inspect
from validation.ladder_run import LadderRun, run_ladder
from validation.layers import read_layer_noise
from validation.level import LevelPoint, level_sweep
from validation.listening import choose_items, write_item
from validation.parity import Clip, DataSet, FileDigest, Gate, Layers, Parity, Resources, Subject, write_parity
from validation.report import render
from validation.theory import bound_violations, theory_bins

_PACKAGES = ("ai-edge-litert", "tflite-micro", "onnxruntime", "onnx", "numpy", "scipy", "pystoi")
_Sets = Sequence[tuple[SetConfig, EvaluationSet]]


def judge(config: JudgeConfig, out: Path, console: Console) -> Parity:
    """Judge and write parity.json, parity.html, summary.md, golden_vectors.npz and audio/ into ``out``; a failed gate is in the verdict.

    Raises:
        UserError: the configuration, a model file or an evaluation set is unfit for judging.
    """
    start = time.monotonic()
    target = load_target(config.target)
    path = artefact(config, target)
    sets = [(entry, read_evaluation_set(entry.path, entry.items)) for entry in config.sets]
    test = next(data for entry, data in sets if entry.role == "test")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        found = inspect(config, target, test, out, lambda text: progress.console.print(f"judging: {text}"))
        run = run_ladder(config, sets, progress)
        level = _level(config, path, test, progress)
    parameters = config.parameters or found.counted_parameters
    gates = _gates(config, target, found, run, level, test.manifest.name, parameters)
    parity = Parity(
        not_tested=_not_tested(target, sets, found, config),
        verdict=verdict(gates, target),
        subject=Subject(
            model=config.model,
            target=target.name,
            profile=config.profile,
            parameters=parameters,
            sample_rate=test.manifest.sample_rate,
            segment_samples=found.segment_samples,
            reference=config.reference,
            stage=config.subject,
            files=[_digest(file) for file in (config.tflite, config.onnx, config.float_onnx) if file is not None],
        ),
        environment=_environment(config),
        data=[_data(entry, data) for entry, data in sets],
        gates=gates,
        ladder=run.results,
        sweep=run.sweep,
        level=level,
        theory=theory_bins(run.points),
        points=run.points,
        behaviour=found.behaviour,
        layers=Layers(free=found.free, golden_inputs=found.golden_inputs, noise=read_layer_noise(config.layer_noise)),
        structure=found.structure,
        resources=Resources(
            file_bytes=found.structure.bytes,
            bytes_per_parameter=found.structure.bytes / parameters,
            arena_bytes=found.arena_bytes,
            cost=found.cost,
            float_cost=found.float_cost,
        ),
        audio=_audio(config, run, test, out),
        provenance={
            "command": config.provenance.command,
            "code version": config.provenance.code_version,
            **config.provenance.digests,
        },
        reproduce=config.reproduce or config.provenance.command,
        seconds=time.monotonic() - start,
    )
    write_parity(parity, out / "parity.json")
    render(parity, out)
    return parity


def _gates(
    config: JudgeConfig, target: TargetSpec, found: Inspection, run: LadderRun, level: list[LevelPoint], test: str, parameters: int
) -> list[Gate]:
    limits = target.gates
    if limits is None:
        return []
    gates = structure_gates(found.structure, found.behaviour, target.transposes)
    if target.format == "tflite":
        gates.append(memory_gate(found.overwritten, found.clips))
    if "tflm" in target.runtimes:
        tflm = next((c for c in found.free if c.runtime == "tflm"), None)
        gates.append(exact_gate(tflm, found.ops, target.exact_exceptions))
    gates += [
        near_gate(runtime, compared, found.clips, found.ops, limits, target.near_exceptions)
        for runtime, compared in found.golden_inputs.items()
    ]
    subject = run.test_result(config.subject, test)
    if subject is not None:
        gates += task_gates(subject, limits, config.profile)
    if target.format == "tflite" and "onnxruntime" in target.runtimes:
        gates.append(waveform_gate(run.test_result("litert-ref", test), run.test_result("onnxruntime", test), limits, config.profile))
    gates += theory_gates(theory_bins(run.points), bound_violations(run.points), len(run.points), limits)
    gates += level_gates(level, limits)
    return [*gates, *resource_gates(found.structure.bytes, parameters, sum(found.structure.ops.values()), found.arena_bytes, limits)]


def _level(config: JudgeConfig, path: Path, test: EvaluationSet, progress: Progress) -> list[LevelPoint]:
    count = min(config.level_items, len(test.items))
    if not count:
        return []
    default = next(stage.runtime for stage in config.stages if stage.name == config.subject)
    runtime = config.level_runtime or default or ("onnxruntime" if path.suffix == ".onnx" else "litert-ref")
    items = [test.items[index * len(test.items) // count] for index in range(count)]
    task = progress.add_task(f"{test.manifest.name}: softer in {runtime}", total=count * (1 + len(config.levels_db)))
    return level_sweep(path, runtime, items, config.levels_db, test.manifest.sample_rate, config.workers, lambda: progress.advance(task))


def _audio(config: JudgeConfig, run: LadderRun, test: EvaluationSet, out: Path) -> list[Clip]:
    reference, subject = (run.test_result(name, test.manifest.name) for name in (config.reference, config.subject))
    if reference is None or subject is None:
        return []
    scores = {score.id: score for score in reference.items}
    results = {score.id: score for score in subject.items}
    clips = []
    for name, rank in choose_items(scores, subject.items, samples=config.audio_items).items():
        pair = (scores[name], results[name])
        clips += write_item(out / "audio", run.items[name], rank, run.reference[name], run.subject[name], pair, test.manifest.sample_rate)
    return clips


def _not_tested(target: TargetSpec, sets: _Sets, found: Inspection, config: JudgeConfig) -> list[str]:
    claims = ["no real device (every runtime ran on this computer)"]
    synthetic = [data.manifest for _, data in sets if data.manifest.synthetic]
    if synthetic:
        music = any(manifest.source_names for manifest in synthetic)
        lacking, instead = ("music played by people", synthetic[0].description) if music else ("real speakers", "synthetic speech")
        claims.append(f"no {lacking} in {', '.join(manifest.name for manifest in synthetic)} ({instead})")
    missing = [name for name in target.runtimes if name not in {b.runtime for b in found.behaviour if b.problem is None}]
    if missing:
        claims.append(f"not run in {', '.join(missing)}")
    if not any(entry.role == "sweep" for entry, _ in sets):
        claims.append("no sweep over the SNR")
    if not config.level_items:
        claims.append("no softer recordings")
    claims += [f"not beside {name}, whose converter did not convert the network ({reason})" for name, reason in config.refused.items()]
    return claims


def _data(entry: SetConfig, data: EvaluationSet) -> DataSet:
    manifest = data.manifest
    return DataSet(
        name=manifest.name,
        role=entry.role,
        n=len(data.items),
        total=data.total,
        seconds=data.seconds,
        sample_rate=manifest.sample_rate,
        synthetic=manifest.synthetic,
        licence=manifest.licence,
        description=manifest.description,
        manifest_sha256=data.manifest_sha256,
        subsets=dict(Counter(item.subset for item in data.items)),
    )


def _digest(path: Path) -> FileDigest:
    return FileDigest(name=path.name, sha256=sha256(path), bytes=path.stat().st_size)


def _environment(config: JudgeConfig) -> dict[str, str]:
    cpu = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor() or "unknown")
    workers = config.workers or len(os.sched_getaffinity(0))
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": cpu,
        "processes": f"{workers}, one thread each",
        **{name: version(name) for name in _PACKAGES},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
