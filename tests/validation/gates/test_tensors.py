"""Exactness on TFLM, nearness of the fast runtimes."""

from __future__ import annotations

import math

import pytest

from tests.validation.gates.judging import judge, judge_each
from validation.gate_result import GateResult
from validation.gates.exact import Exact, ExactEvidence
from validation.gates.exact_arm64 import ExactArm64
from validation.gates.near import Near, NearEvidence
from validation.golden_inputs import OpComparison
from validation.layers import RuntimeComparison, TensorComparison
from validation.report import exceptions

OPS = {"t0": "CONV_2D", "t1": "FULLY_CONNECTED", "t2": "ADD"}


def comparison(*max_lsb: int, **changes: list[str]) -> RuntimeComparison:
    tensors = [
        TensorComparison(tensor=f"t{k}", values=4, max_lsb=m, share=0.25 * bool(m), lsb=[4, 0, 0, 0, 0, 0], sqnr=math.inf, saturation=0.0)
        for k, m in enumerate(max_lsb)
    ]
    whole = RuntimeComparison(runtime="tflm", golden="litert-ref", clips=1, tensors=tensors, only_golden=[], shapes_differ=[])
    return whole.model_copy(update=changes)


def exact(found: RuntimeComparison | None, **exceptions: str) -> GateResult:
    return judge(Exact, ExactEvidence(found, OPS, exceptions))


def test_exact() -> None:
    assert exact(comparison(0, 0)).state == "passed"
    assert exact(comparison(0, 1)).state == "failed"
    assert exact(comparison(0, 0, only_golden=["t9"])).state == "failed"
    assert exact(comparison(0, 0, shapes_differ=["t9"])).state == "failed"


def test_exact_without_evidence_fails() -> None:
    for found in (None, comparison()):
        assert (exact(found).state, exact(found).n) == ("failed", 0)
        assert "no evidence" in exact(found).note


def test_exact_on_an_emulated_processor() -> None:
    def found(comparison: RuntimeComparison | None) -> GateResult:
        return judge(ExactArm64, ExactEvidence(comparison, OPS, {}))

    assert (found(comparison(0, 0)).id, found(comparison(0, 0)).state, found(comparison(0, 0)).n) == ("exact.arm64", "passed", 2)
    assert (found(comparison(0, 1)).state, found(comparison(0, 1)).note) == ("failed", "t1")
    assert found(None).note == "no evidence: arm64-litert-ref did not run the file"


def test_exceptions_of_exact_name_operators() -> None:
    excused = exact(comparison(0, 1), FULLY_CONNECTED="TFLM rounds otherwise", MUL="idle")
    assert excused.state == "passed"
    assert [(e.pattern, e.reason, e.count) for e in excused.excuses] == [
        ("FULLY_CONNECTED", "TFLM rounds otherwise", 1),
        ("MUL", "idle", 0),
    ]
    assert "excuse nothing here: MUL" in excused.note
    assert exact(comparison(1, 1), FULLY_CONNECTED="r").state == "failed"


def near(found: list[OpComparison], exceptions: dict[str, str] | None = None, ops: dict[str, str] | None = None) -> GateResult:
    return judge(Near, NearEvidence({"litert-xnnpack": found}, 2, ops or {}, exceptions or {}))


@pytest.mark.parametrize(
    ("max_lsb", "share", "state"), [(0, 0.0, "passed"), (1, 0.005, "passed"), (1, 0.006, "failed"), (2, 0.0001, "failed")]
)
def test_near(max_lsb: int, share: float, state: str) -> None:
    found = [OpComparison(tensor="t", op="ADD", values=1000, max_lsb=max_lsb, share=share)]
    assert near(found).state == state
    assert near(found, {"ADD": "why"}, {"t": "MUL"}).state == state, "the TFLite operator counts, not the ONNX one"
    for pattern in ("ADD", "t*", "A?D"):
        result = near(found, {pattern: "why"})
        assert result.state == ("passed" if max_lsb <= 1 else "failed"), "an exception is from the share, not from the size"
        assert [excuse.count for excuse in result.excuses] == [int(max_lsb == 1 and state == "failed")]


def test_the_worst_are_told_first() -> None:
    def off(name: str, max_lsb: int, share: float) -> OpComparison:
        return OpComparison(tensor=name, op="ADD", values=1000, max_lsb=max_lsb, share=share)

    result = near([off("a", 1, 0.1), off("b", 1, 0.2), off("c", 3, 0.01), off("d", 0, 0.0)])
    assert result.note == "c (ADD): 3 LSB, 1.00%, b (ADD): 1 LSB, 20.00%, a (ADD): 1 LSB, 10.00%"
    assert (result.observed, result.n) == (3, 4)


def test_the_first_exception_that_fits_counts() -> None:
    found = [OpComparison(tensor="t", op="ADD", values=1000, max_lsb=1, share=0.1)]
    assert [excuse.count for excuse in near(found, {"ADD": "first", "t": "idle"}).excuses] == [1, 0]


@pytest.mark.parametrize(("values", "differing", "state"), [(2, 1, "passed"), (2, 2, "passed"), (20, 2, "passed"), (20, 3, "failed")])
def test_one_value_a_clip_may_lie_next_to_a_tie(values: int, differing: int, state: str) -> None:
    found = OpComparison(tensor="t", op="Reciprocal", values=values, max_lsb=1, share=differing / values)
    assert near([found]).state == state
    assert near([found.model_copy(update={"max_lsb": 2})]).state == "failed"


@pytest.mark.parametrize(("op", "max_lsb", "state"), [("WHILE", 2, "passed"), ("WHILE", 3, "failed"), ("ADD", 2, "failed")])
def test_a_loop_that_is_excepted_may_be_two_codes_off(op: str, max_lsb: int, state: str) -> None:
    found = [OpComparison(tensor="t", op="Scan", values=100, max_lsb=max_lsb, share=0.001)]
    assert near(found, {op: "why"}, {"t": op}).state == state
    assert near(found, {}, {"t": op}).state == "failed"


def test_a_runtime_that_gave_nothing_fails_and_the_other_is_judged() -> None:
    good = [OpComparison(tensor="t", op="ADD", values=1000, max_lsb=0, share=0)]
    results = judge_each(Near, NearEvidence({"litert-xnnpack": None, "onnxruntime": good}, 2, {}, {}))
    assert [(result.id, result.state, result.n) for result in results] == [
        ("near.litert-xnnpack", "failed", 0),
        ("near.onnxruntime", "passed", 1),
    ]
    assert near([]).state == "failed"


def test_what_an_exception_excused_is_summed_over_the_runtimes() -> None:
    """Idle in one runtime and needed in the other is not idle."""
    off = [OpComparison(tensor="t", op="ADD", values=1000, max_lsb=1, share=0.1)]
    even = [off[0].model_copy(update={"max_lsb": 0, "share": 0.0})]
    for found in ({"litert-xnnpack": off, "onnxruntime": even}, {"litert-xnnpack": even, "onnxruntime": off}):
        results = judge_each(Near, NearEvidence(found, 2, {}, {"ADD": "why", "MUL": "idle"}))
        assert [(family, excuse.pattern, excuse.count) for family, excuse in exceptions(results)] == [
            ("near", "ADD", 1),
            ("near", "MUL", 0),
        ]
