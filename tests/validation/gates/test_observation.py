"""What each gate takes from the evidence, and which files it is asked of."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.validation.gates.test_structure import SOUND
from validation.evidence import Evidence
from validation.gate import Gate
from validation.gates import memory, streamed
from validation.gates.allowed_ops import AllowedOps
from validation.gates.arena import Arena
from validation.gates.exact import Exact, ExactEvidence
from validation.gates.exact_arm64 import ExactArm64
from validation.gates.file_size import FileSize, Size
from validation.gates.input_contract import InputContract
from validation.gates.int16_ends import Int16Ends
from validation.gates.level import Level
from validation.gates.mean_loss import MeanLoss
from validation.gates.memory import Memory, Overwritten
from validation.gates.music_sdr import MusicSdr
from validation.gates.near import Near, NearEvidence
from validation.gates.no_custom_ops import NoCustomOps
from validation.gates.no_floats import NoFloats
from validation.gates.order import Order
from validation.gates.runs import Runs
from validation.gates.silence import Silence
from validation.gates.steps_exact import StepsExact
from validation.gates.steps_latency import StepsLatency
from validation.gates.steps_near import StepsNear
from validation.gates.steps_resources import StepsResources
from validation.gates.steps_structure import StepsStructure
from validation.gates.stoi import Stoi
from validation.gates.streamed import Streamed
from validation.gates.theory import Theory
from validation.gates.transposes import Transposed, Transposes
from validation.gates.waveform import Waveform
from validation.gates.worst_loss import WorstLoss

FULL = ("onnxruntime", "litert-ref", "litert-opt", "litert-xnnpack", "tflm")


def evidence(*runtimes: str, target: str = "tflite", named: bool = False, stream: str = "") -> Evidence:
    """Stand-ins that are told apart by what they are. ``stream``: the formats of the streaming files."""
    score = {key: [3.0] for key in ("source_si_sdr", "source_sdr")}
    items = {name: [SimpleNamespace(id="a", stoi=0.5, order=(0, 1), **score)] for name in (*FULL, "float")}
    stages = {name: SimpleNamespace(items=found) for name, found in items.items()}
    run = SimpleNamespace(
        points={"litert-ref": ["a point"]}, test_result=lambda name, test_set: stages[name] if test_set == "test" else None
    )
    config = SimpleNamespace(
        subject="litert-ref",
        reference="float",
        stream_tflite="s.tflite" if "tflite" in stream else None,
        stream_onnx="s.onnx" if "onnx" in stream else None,
    )
    file = SimpleNamespace(
        structure=SOUND, parameters=900, arena_bytes=77, ops={"t": "ADD"}, clips=["clip"] * 3, golden="golden", path="path",
        sample_rate=8000, golden_inputs={"litert-xnnpack": ["compared"]}, running=[*runtimes],
        file_for=lambda runtime: f"file of {runtime}",
        free=[SimpleNamespace(runtime=name) for name in ("arm64-litert-ref", *FULL)],
        recording=lambda segments: f"recording of {segments} segments",
        behaviour=[
            SimpleNamespace(runtime="tflm", problem=None, peaks={"zeros": 4, "clip": 9}),
            SimpleNamespace(runtime="litert-opt", problem="broken", peaks={}),
        ],
        data=SimpleNamespace(items=[SimpleNamespace(named=False), SimpleNamespace(named=named)]),
    )  # fmt: skip
    asked_of = SimpleNamespace(
        format=target, runtimes=runtimes, transposes={"x": "why"}, exact_exceptions={"ADD": "why"}, near_exceptions={"MUL": "why"}
    )
    rest = {item.name: [item.name] for item in fields(Evidence)}
    known = {"config": config, "target": asked_of, "file": file, "ladder": run, "test_set": "test"}
    return Evidence(**{**rest, **known})  # type: ignore[arg-type]


def asked(kind: type[Gate[Any, Any]], found: Evidence, **settings: object) -> bool:
    gate = kind()
    return gate.asked(found, kind.settings(**settings))


ALWAYS = (NoFloats, NoCustomOps, AllowedOps, Int16Ends, Transposes, Runs, Silence, Streamed, FileSize)
ALWAYS += (Level, InputContract, Theory, MeanLoss, WorstLoss)  # type: ignore[assignment]


@pytest.mark.parametrize("kind", ALWAYS)
def test_most_gates_are_asked_of_every_file(kind: type[Gate[Any, Any]]) -> None:
    assert asked(kind, evidence("onnxruntime", target="onnx")) and asked(kind, evidence(*FULL, named=True))


@pytest.mark.parametrize(
    ("kind", "of", "not_of"),
    [
        (Order, evidence(), evidence(named=True)),
        (Stoi, evidence(), evidence(named=True)),
        (MusicSdr, evidence(named=True), evidence()),
        (Exact, evidence("tflm"), evidence("litert-ref")),
        (ExactArm64, evidence("arm64-litert-ref"), evidence("litert-ref", "arm64-litert-xnnpack")),
        (Near, evidence("litert-xnnpack"), evidence("tflm", "litert-ref")),
        (Near, evidence("onnxruntime"), evidence("onnxruntime", target="onnx")),
        (Memory, evidence("tflm"), evidence("onnxruntime", target="onnx")),
        (Waveform, evidence("litert-ref", "onnxruntime"), evidence("litert-ref", "tflm")),
        (Waveform, evidence(*FULL), evidence("litert-ref", "onnxruntime", target="onnx")),
        (StepsExact, evidence(stream="tflite"), evidence(stream="onnx")),
        (StepsStructure, evidence(stream="tflite"), evidence(stream="onnx")),
        (StepsLatency, evidence(stream="tflite"), evidence()),
        (StepsLatency, evidence(stream="onnx"), evidence()),
        (StepsNear, evidence("onnxruntime", stream="onnx"), evidence("litert-ref", stream="onnx")),
        (StepsNear, evidence("onnxruntime", stream="onnx"), evidence("onnxruntime", stream="tflite")),
        (StepsResources, evidence("tflm", stream="tflite"), evidence("tflm", stream="onnx")),
        (StepsResources, evidence("tflm", stream="tflite"), evidence("litert-ref", stream="tflite")),
    ],
)
def test_others_are_asked_by_target_and_task(kind: type[Gate[Any, Any]], of: Evidence, not_of: Evidence) -> None:
    assert asked(kind, of) and not asked(kind, not_of)


def test_the_arena_is_asked_where_the_target_has_a_limit() -> None:
    assert asked(Arena, evidence("tflm"), max_bytes=5) and not asked(Arena, evidence("tflm"))
    assert Arena().observe(evidence("tflm")) == 77


def test_gates_of_the_file_look_at_its_audit_and_at_its_runs() -> None:
    found = evidence("litert-ref", "tflm")
    assert all(kind().observe(found) is SOUND for kind in (NoFloats, NoCustomOps, AllowedOps, Int16Ends))
    assert Transposes().observe(found) == Transposed(SOUND, {"x": "why"})
    assert FileSize().observe(found) == Size(1000, 900, 3)
    assert Runs().observe(found) is found.file.behaviour
    assert Silence().observe(found) == {"tflm": 4}, "of zeros, and of runtimes that ran"


def test_tensors_are_those_of_tflm_and_those_with_golden_inputs() -> None:
    found = evidence("litert-xnnpack", "tflm", "onnxruntime")
    assert Exact().observe(found) == ExactEvidence(found.file.free[-1], {"t": "ADD"}, {"ADD": "why"})
    assert ExactArm64().observe(found) == ExactEvidence(found.file.free[0], {"t": "ADD"}, {})
    wanted = {"litert-xnnpack": ["compared"], "onnxruntime": None}
    assert Near().observe(found) == NearEvidence(wanted, 3, {"t": "ADD"}, {"MUL": "why"})  # type: ignore[arg-type]
    without = SimpleNamespace(file=SimpleNamespace(free=[], ops={}), target=SimpleNamespace(exact_exceptions={}))
    assert Exact().observe(without) == ExactArm64().observe(without) == ExactEvidence(None, {}, {})  # type: ignore[arg-type]


def test_quality_is_that_of_what_ships_beside_float_on_the_test_set() -> None:
    found = evidence("litert-ref", "onnxruntime")
    subject, floating = found.subject, found.reference
    assert subject is not None and floating is not None
    subject.items[0].source_si_sdr, subject.items[0].source_sdr, subject.items[0].stoi = [2.0], [1.0], 0.25
    subject.items[0].order = (1, 0)
    for kind in (MeanLoss, WorstLoss):
        losses = kind().observe(found)
        assert losses is not None and (losses.loss, losses.sdr, losses.mixtures) == ([1.0], [3.0], 1)
    losses = MusicSdr().observe(found)
    assert losses is not None and losses.loss == [2.0]
    assert (Stoi().observe(found), Order().observe(found)) == ([0.25], [False])
    assert Waveform().observe(found) == (found.stage("litert-ref"), found.stage("onnxruntime"))
    assert Theory().observe(replace(found, ladder=SimpleNamespace(points={}))) == []  # type: ignore[arg-type]
    assert (Theory().observe(found), Level().observe(found), InputContract().observe(found)) == (["a point"], ["level"], ["contract"])


def test_gates_that_run_the_file_run_that_file(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []

    def overwritten(*arguments: Any) -> list[str]:
        given.append(arguments)
        return ["clip 2"]

    def differing(*arguments: Any) -> int:
        given.append(arguments)
        return 5

    monkeypatch.setattr(memory, "unlike_golden", overwritten)
    monkeypatch.setattr(streamed, "differing", differing)
    found = evidence("litert-ref", "onnxruntime", "tflm")
    assert Memory().observe(found) == Overwritten(["clip 2"], 3)
    assert Streamed().observe(found) == {"onnxruntime": 5}, "the fast ones that run it"
    assert given == [("path", ["clip"] * 3, "golden", 8000), ("file of onnxruntime", "onnxruntime", "recording of 2.4 segments", 8000)]
