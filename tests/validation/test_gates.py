"""Every gate passes on good evidence and fails on bad: a check that cannot fail is none."""

from __future__ import annotations

import math

import pytest

from export_specs.schema import Gates, TargetSpec
from tests.validation.synthetic import RATE, make_item, noisy
from validation.behaviour import RuntimeBehaviour
from validation.bootstrap import Interval
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
from validation.golden_inputs import OpComparison
from validation.ladder import StageResult, judge_stage, score_item
from validation.layers import RuntimeComparison, TensorComparison
from validation.level import LevelPoint
from validation.structure import Structure
from validation.theory import TheoryBin

GATES = Gates(mean_si_sdr_loss_db={"ptq": 1.0, "quick": 0.3, "full": 0.1}, arena_bytes=1000)
SOUND = Structure(
    format="tflite",
    bytes=1000,
    constant_bytes=900,
    dtypes={"int8": 5},
    ops={"CONV_2D": 3},
    inputs=["pcm"],
    outputs=["separated"],
    io_int16=True,
    float_tensors=[],
    custom_ops=[],
    refused_ops={},
    transposed=[],
    reshapes=0,
)
RUNS = RuntimeBehaviour(runtime="tflm", problem=None, silence_peak=0, streamed_equals_whole=True, arena_bytes=1)


def test_structure_passes_on_a_sound_file() -> None:
    gates = structure_gates(SOUND, [RUNS], {})
    assert [gate.passed for gate in gates] == [True] * 8


@pytest.mark.parametrize(
    ("name", "structure", "behaviour"),
    [
        ("structure.float", {"float_tensors": ["x"]}, {}),
        ("structure.custom", {"custom_ops": ["CUSTOM:x"]}, {}),
        ("structure.ops", {"refused_ops": {"EXP": 2}}, {}),
        ("structure.transpose", {"transposed": ["x"]}, {}),
        ("structure.int16", {"io_int16": False}, {}),
        ("structure.runs", {}, {"problem": "no kernel"}),
        ("structure.silence", {}, {"silence_peak": 1}),
        ("structure.streamed", {}, {"streamed_equals_whole": False}),
    ],
)
def test_each_structure_gate_fails_alone(name: str, structure: dict[str, object], behaviour: dict[str, object]) -> None:
    gates = structure_gates(SOUND.model_copy(update=structure), [RUNS.model_copy(update=behaviour)], {})
    assert [gate.id for gate in gates if gate.passed is False] == [name]


def test_a_transpose_passes_where_the_target_gives_a_reason() -> None:
    found = SOUND.model_copy(update={"transposed": ["a.turn", "b.turn", "x"]})
    gate = next(gate for gate in structure_gates(found, [RUNS], {"*.turn": "because"}) if gate.id == "structure.transpose")
    assert (gate.passed, gate.observed, gate.note) == (False, 1, "x; 2 as *.turn: because")
    gate = next(gate for gate in structure_gates(found, [RUNS], {"*.turn": "because", "x": "too"}) if gate.id == "structure.transpose")
    assert gate.passed


@pytest.mark.parametrize(("op", "max_lsb", "passed"), [("WHILE", 2, True), ("WHILE", 3, False), ("ADD", 2, False)])
def test_a_loop_that_is_excepted_may_be_two_codes_off(op: str, max_lsb: int, passed: bool) -> None:
    found = [OpComparison(tensor="t", op="Scan", values=100, max_lsb=max_lsb, share=0.001)]
    gate = near_gate("onnxruntime", found, 2, {"t": op}, GATES, {op: "why"})
    assert (gate.passed, "1 excepted" in gate.note) == (passed, passed)
    assert near_gate("onnxruntime", found, 2, {"t": op}, GATES, {}).passed is False


def test_memory_gate() -> None:
    assert memory_gate([], 4).passed
    assert (memory_gate(["clip 2"], 4).passed, memory_gate(["clip 2"], 4).note) == (False, "clip 2")


def _comparison(*max_lsb: int) -> RuntimeComparison:
    tensors = [
        TensorComparison(tensor=f"t{k}", values=4, max_lsb=m, share=0.25 * bool(m), lsb=[4, 0, 0, 0, 0, 0], sqnr=math.inf, saturation=0.0)
        for k, m in enumerate(max_lsb)
    ]
    return RuntimeComparison(runtime="tflm", golden="litert-ref", clips=1, tensors=tensors, only_golden=[], shapes_differ=[])


def test_exact_gate() -> None:
    ops = {"t0": "CONV_2D", "t1": "FULLY_CONNECTED"}
    assert exact_gate(_comparison(0, 0), ops, {}).passed
    assert exact_gate(_comparison(0, 1), ops, {}).passed is False
    excused = exact_gate(_comparison(0, 1), ops, {"FULLY_CONNECTED": "TFLM rounds otherwise"})
    assert excused.passed and "TFLM rounds otherwise" in excused.note
    assert exact_gate(_comparison(1, 1), ops, {"FULLY_CONNECTED": "r"}).passed is False
    assert exact_gate(_comparison(0, 0).model_copy(update={"only_golden": ["t9"]}), ops, {}).passed is False
    assert exact_gate(_comparison(0, 0).model_copy(update={"shapes_differ": ["t9"]}), ops, {}).passed is False
    assert exact_gate(None, ops, {}).passed is False
    assert exact_gate(_comparison(), ops, {}).passed is None


@pytest.mark.parametrize(("max_lsb", "share", "passed"), [(0, 0.0, True), (1, 0.005, True), (1, 0.006, False), (2, 0.0001, False)])
def test_near_gate(max_lsb: int, share: float, passed: bool) -> None:
    found = [OpComparison(tensor="t", op="ADD", values=1000, max_lsb=max_lsb, share=share)]
    assert near_gate("litert-xnnpack", found, 2, {}, GATES, {}).passed is passed
    assert near_gate("litert-xnnpack", found, 2, {"t": "MUL"}, GATES, {"ADD": "why"}).passed is passed
    for pattern in ("ADD", "t*", "A?D"):
        gate = near_gate("litert-xnnpack", found, 2, {}, GATES, {pattern: "why"})
        assert gate.passed is (max_lsb <= 1) and ("why" in gate.note) is (max_lsb == 1 and not passed)


@pytest.mark.parametrize(("values", "differing", "passed"), [(2, 1, True), (2, 2, True), (20, 2, True), (20, 3, False)])
def test_one_value_a_clip_may_lie_next_to_a_tie(values: int, differing: int, passed: bool) -> None:
    found = [OpComparison(tensor="t", op="Reciprocal", values=values, max_lsb=1, share=differing / values)]
    assert near_gate("onnxruntime", found, 2, {}, GATES, {}).passed is passed
    assert near_gate("onnxruntime", [found[0].model_copy(update={"max_lsb": 2})], 2, {}, GATES, {}).passed is False


def _results(loss_db: float, swap: bool = False) -> tuple[StageResult, StageResult]:
    """A float stage at 15 dB, and one at ``loss_db`` less."""
    reference, lossy = [], []
    for seed in range(6):
        item = make_item(seed, f"i{seed}")
        truth = item.sources / 32768
        error = noisy(item.sources, 15, seed) - truth
        floating, result = truth + error, truth + error * 10 ** (loss_db / 20)
        reference.append(score_item(item, floating, floating, RATE))
        lossy.append(score_item(item, result[::-1] if swap and seed == 0 else result, floating, RATE))
    by_id = {score.id: score for score in reference}
    return judge_stage("float", reference, by_id, set_name="t"), judge_stage("int8", lossy, by_id, set_name="t")


def test_task_gates_measure_a_known_loss() -> None:
    _, result = _results(0.2)
    gates = {gate.id: gate for gate in task_gates(result, GATES, "quick")}
    assert all(gate.passed for gate in gates.values()) and gates["task.mean"].n == 6
    assert gates["task.mean"].observed == pytest.approx(0.2, abs=0.01)
    assert gates["task.mean"].ci is not None and gates["task.mean"].ci.low <= 0.2 + 0.01 and gates["task.mean"].ci.high >= 0.2 - 0.01
    assert task_gates(result, GATES, "full")[0].passed is False


def test_each_task_gate_fails() -> None:
    _, result = _results(6, swap=True)
    assert [gate.id for gate in task_gates(result, GATES, "ptq") if gate.passed is False] == [
        "task.mean",
        "task.p5",
        "task.stoi",
        "task.order",
    ]
    assert result.summary.order_agreement == pytest.approx(5 / 6)


def test_swapped_speakers_lose_no_si_sdr() -> None:
    _, result = _results(0, swap=True)
    assert [gate.id for gate in task_gates(result, GATES, "full") if gate.passed is False] == ["task.order"]


def test_waveform_gate() -> None:
    floating, near = _results(0.02)
    _, far = _results(-0.2)
    assert waveform_gate(near, floating, GATES, "full").passed
    assert waveform_gate(far, floating, GATES, "full").passed is False
    assert waveform_gate(None, floating, GATES, "full").passed is None


def test_theory_gates() -> None:
    near, wide = Interval(low=0.2, high=0.22), Interval(low=0.0, high=0.4)
    good = TheoryBin(snr=0, n=9, sdr=10, sqnr=20, loss=0.5, predicted=0.4, excess_interval=near)
    assert [gate.passed for gate in theory_gates([good], [], 9, GATES)] == [True, True]
    noisy_bin = good.model_copy(update={"loss": 0.7, "excess_interval": wide})
    assert theory_gates([noisy_bin], [], 9, GATES)[0].passed is None
    assert theory_gates([noisy_bin.model_copy(update={"n": 100})], [], 100, GATES)[0].passed is False
    bad = good.model_copy(update={"loss": 0.65, "excess_interval": Interval(low=0.21, high=0.29)})
    assert theory_gates([noisy_bin, bad], [], 9, GATES)[0].passed is False  # sure, though the other is larger
    assert theory_gates([good.model_copy(update={"loss": 0.61, "excess_interval": bad.excess_interval})], [], 9, GATES)[0].passed is False
    assert theory_gates([good.model_copy(update={"n": 4, "loss": 9.0})], [], 4, GATES)[0].passed is None
    assert theory_gates([good], ["i3"], 9, GATES)[1].passed is False


def test_resource_gates() -> None:
    for operators, allowance in ((10, 48 * 1024), (1000, 125_000)):
        limit = int(1.15 * 1000) + allowance
        assert [gate.passed for gate in resource_gates(limit, 1000, operators, 1000, GATES)] == [True, True]
        assert [gate.passed for gate in resource_gates(limit + 1, 1000, operators, 1001, GATES)] == [False, False]
    assert resource_gates(1, 1000, 10, None, GATES)[1].passed is False


@pytest.mark.parametrize(("change", "passed"), [(-0.1, True), (-0.11, False), (0.11, False)])
def test_level_gates(change: float, passed: bool) -> None:
    point = LevelPoint(softer_db=20, runtime="r", n=4, change=change, interval=Interval(low=change, high=change), worst=change)
    assert [gate.passed for gate in level_gates([point, point.model_copy(update={"softer_db": 33})], GATES)] == [passed]


@pytest.mark.parametrize(
    ("n", "change", "low", "high", "passed"),
    [
        (24, -0.12, -0.2, -0.05, None),
        (24, 0.12, 0.05, 0.2, None),
        (24, -0.15, -0.2, -0.11, False),  # all of the interval is beyond the limit
        (200, -0.12, -0.2, -0.05, False),  # enough mixtures: the mean counts
        (24, -0.09, -0.2, 0.02, True),
    ],
)
def test_few_mixtures_may_not_tell(n: int, change: float, low: float, high: float, passed: bool | None) -> None:
    point = LevelPoint(softer_db=20, runtime="r", n=n, change=change, interval=Interval(low=low, high=high), worst=low)
    (gate,) = level_gates([point], GATES)
    assert gate.passed is passed and ("too few" in gate.note) is (passed is None)
    assert gate.ci is not None and gate.ci.low <= gate.ci.high


def test_the_worst_of_few_mixtures_is_judged_by_its_interval() -> None:
    """Five lose 0.2 dB and one loses more than the limit of 1 dB: another six mixtures might have none of it."""
    (floating, result), (_, lossy) = _results(0.2), _results(1.5)
    reference = {score.id: score for score in floating.items}
    mixed = judge_stage("int8", [*result.items[:5], lossy.items[5]], reference, set_name="t")
    gates = {gate.id: gate for gate in task_gates(mixed, GATES, "quick")}
    assert gates["task.p5"].observed == pytest.approx(1.5, abs=0.1) and gates["task.p5"].passed is None
    assert task_gates(lossy, GATES, "quick")[1].passed is False


def test_verdict() -> None:
    target = TargetSpec(name="t", format="tflite", runtimes=["litert-ref"], gates=GATES)
    good = near_gate("r", [OpComparison(tensor="t", op="ADD", values=1, max_lsb=0, share=0)], 1, {}, GATES, {})
    bad = good.model_copy(update={"passed": False, "id": "bad"})
    assert verdict([good], target).passed is True
    assert verdict([good, bad], target).model_dump() == {"passed": False, "failed": ["bad"]}
    assert verdict([], target.model_copy(update={"gates": None})).passed is None
