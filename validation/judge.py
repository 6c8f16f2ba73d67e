"""The whole judgement, from judge.json to a folder with the report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.model_file import read_model
from export_specs.foundation.atomic import sha256
from export_specs.foundation.progress import at_work, say
from export_specs.load import load_target
from export_specs.schema import TargetSpec
from validation.config import JudgeConfig, SetConfig
from validation.environment import environment
from validation.evaluation_set import EvaluationSet, Item, read_evaluation_set
from validation.evidence import Evidence
from validation.gate_registry import explanations, find_gates, gate_settings, judge_all
from validation.golden_vectors import write_golden_vectors
from validation.input_contract import Contract, contract_of
from validation.inspection import Inspection
from validation.ladder_run import LadderRun, run_ladder
from validation.layers import read_layer_noise
from validation.level import LevelPoint, level_sweep
from validation.listening import choose_items, write_item
from validation.parity import Clip, DataSet, FileDigest, Layers, Parity, Resources, Subject, write_parity
from validation.report import render
from validation.theory import sdr_bins
from validation.tiles import latency_tile, loss_tile, memory_tile, size_tile, speed_tile, verdict_tile
from validation.vela import estimates, vela_program
from validation.verdict import verdict

_Sets = Sequence[tuple[SetConfig, EvaluationSet]]


def judge(config: JudgeConfig, out: Path) -> Parity:
    """Judge and write parity.json, parity.html, summary.md, golden_vectors.npz and audio/ into ``out``; a failed gate is in the verdict.

    Raises:
        UserError: the configuration, the target's gates, a model file or an evaluation set is unfit for judging.
    """
    start = time.monotonic()
    target = load_target(config.target)
    gates = find_gates(config.gate_files)
    settings = gate_settings(target, gates)
    sets = [(entry, read_evaluation_set(entry.path, entry.items)) for entry in config.sets]
    test = next(data for entry, data in sets if entry.role == "test")
    with at_work("judging"):
        file = Inspection(config, target, test, lambda text: say(f"judging: {text}"))
        write_golden_vectors(out / "golden_vectors.npz", file.clips, file.golden, config.golden_tensors)
        run = run_ladder(config, sets)
        level, contract = _level(config, file.path, test, run), _contract(config, file.path, test)
        npu = estimates(file.path, target.npus, file.segment_samples / test.manifest.sample_rate)
        evidence = Evidence(config, target, file, run, level, contract, npu, test.manifest.name)
        results = [] if target.gates is None else judge_all(gates, settings, evidence, config.profile)
        layers = Layers(free=file.free, golden_inputs=file.golden_inputs, noise=read_layer_noise(config.layer_noise))
    subject = run.test_result(config.subject, test.manifest.name)
    judgement = verdict(results, judged=target.gates is not None)
    parity = Parity(
        not_tested=_not_tested(target, sets, file, config),
        verdict=judgement,
        tiles=[
            verdict_tile(judgement),
            loss_tile(subject),
            size_tile(file.structure.bytes, file.parameters),
            memory_tile(file.behaviour),
            speed_tile(run.results, test.manifest.name),
            latency_tile(file.segment_samples, test.manifest.sample_rate, _stream_latency(config)),
        ],
        subject=Subject(
            model=config.model,
            target=target.name,
            profile=config.profile,
            parameters=file.parameters,
            sample_rate=test.manifest.sample_rate,
            segment_samples=file.segment_samples,
            reference=config.reference,
            stage=config.subject,
            files=[_digest(path) for path in (config.tflite, config.onnx, config.float_onnx) if path is not None],
        ),
        environment=environment(config.workers, [*file.running, *(stage.runtime for stage in config.stages if stage.runtime is not None)]),
        data=[_data(entry, data) for entry, data in sets],
        gates=results,
        explanations=explanations(gates, settings, results, config.profile),
        ladder=run.results,
        sweep=run.sweep,
        level=evidence.level,
        contract=evidence.contract,
        npu=evidence.npu,
        theory=[found for stage, points in run.points.items() for found in sdr_bins(stage, points)],
        points=evidence.points,
        behaviour=file.behaviour,
        layers=layers,
        structure=file.structure,
        resources=Resources(
            file_bytes=file.structure.bytes,
            bytes_per_parameter=file.structure.bytes / file.parameters,
            arena_bytes=file.arena_bytes,
            cost=file.cost,
            float_cost=file.float_cost,
        ),
        audio=_audio(config, run, test, out),
        provenance=config.provenance.digests,
        reproduce=config.reproduce,
        seconds=time.monotonic() - start,
    )
    write_parity(parity, out / "parity.json")
    render(parity, out)
    return parity


def _level(config: JudgeConfig, path: Path, test: EvaluationSet, run: LadderRun) -> list[LevelPoint]:
    count = min(config.level_items, len(test.items))
    if not count:
        return []
    runtime, items = _level_runtime(config, path), _spread(test, count)
    stages = [stage.name for stage in config.stages if (stage.path, stage.runtime) == (path, runtime)]
    known = {score.id: score.si_sdr for name in stages if (found := run.test_result(name, test.manifest.name)) for score in found.items}
    return level_sweep(path, runtime, items, config.levels_db, test.manifest.sample_rate, config.workers, known)


def _contract(config: JudgeConfig, path: Path, test: EvaluationSet) -> Contract | None:
    count = min(config.level_items, len(test.items))
    if not count:
        return None
    return contract_of(path, _level_runtime(config, path), _spread(test, count), test.manifest.sample_rate, config.workers)


def _level_runtime(config: JudgeConfig, path: Path) -> str:
    default = next(stage.runtime for stage in config.stages if stage.name == config.subject)
    return config.level_runtime or default or ("onnxruntime" if path.suffix == ".onnx" else "litert-ref")


def _spread(test: EvaluationSet, count: int) -> list[Item]:
    return [test.items[index * len(test.items) // count] for index in range(count)]


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


def _not_tested(target: TargetSpec, sets: _Sets, file: Inspection, config: JudgeConfig) -> list[str]:
    claims = ["no real device (every runtime ran on this computer)"]
    synthetic = [data.manifest for _, data in sets if data.manifest.synthetic]
    if synthetic:
        music = any(manifest.source_names for manifest in synthetic)
        lacking, instead = ("music played by people", synthetic[0].description) if music else ("real speakers", "synthetic speech")
        claims.append(f"no {lacking} in {', '.join(manifest.name for manifest in synthetic)} ({instead})")
    missing = [name for name in target.runtimes if name not in {b.runtime for b in file.behaviour if b.problem is None}]
    if missing:
        claims.append(f"not run in {', '.join(missing)}")
    if not any(entry.role == "sweep" for entry, _ in sets):
        claims.append("no sweep over the SNR")
    if target.npus and vela_program() is None:
        claims.append(f"not compiled for {', '.join(f'Ethos-U {npu}' for npu in target.npus)} (Vela is not installed)")
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


def _stream_latency(config: JudgeConfig) -> int | None:
    """What the streaming file beside the judged one says of its latency, in samples; None without one."""
    path = config.stream_tflite or config.stream_onnx
    metadata = None if path is None else read_model(path).metadata
    return None if metadata is None or metadata.streaming is None else metadata.streaming.latency_samples


def _digest(path: Path) -> FileDigest:
    return FileDigest(name=path.name, sha256=sha256(path), bytes=path.stat().st_size)
