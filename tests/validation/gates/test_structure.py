"""Every gate of the file's structure passes on good evidence, fails on bad, and fails without any: a check that cannot fail is none."""

from __future__ import annotations

import pytest

from tests.validation.gates.judging import judge
from validation.behaviour import RuntimeBehaviour
from validation.gate import Gate
from validation.gates.allowed_ops import AllowedOps
from validation.gates.int16_ends import Int16Ends
from validation.gates.memory import Memory, Overwritten
from validation.gates.no_custom_ops import NoCustomOps
from validation.gates.no_floats import NoFloats
from validation.gates.runs import Runs
from validation.gates.silence import Silence
from validation.gates.streamed import Streamed
from validation.gates.transposes import Transposed, Transposes
from validation.structure import Structure

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
EMPTY = SOUND.model_copy(update={"dtypes": {}, "ops": {}, "inputs": [], "outputs": []})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (NoFloats, {"float_tensors": ["x"]}),
        (NoCustomOps, {"custom_ops": ["CUSTOM:x"]}),
        (AllowedOps, {"refused_ops": {"EXP": 2}}),
        (Int16Ends, {"io_int16": False}),
    ],
)
def test_gates_of_the_audit(kind: type[Gate], change: dict[str, object]) -> None:
    assert judge(kind, SOUND).state == "passed"
    assert judge(kind, SOUND.model_copy(update=change)).state == "failed"
    assert (judge(kind, EMPTY).state, judge(kind, EMPTY).n) == ("failed", 0)


def test_a_transpose_passes_where_the_target_gives_a_reason() -> None:
    found = SOUND.model_copy(update={"transposed": ["a.turn", "b.turn", "x"]})
    result = judge(Transposes, Transposed(found, {"*.turn": "because"}))
    assert (result.state, result.observed, result.note) == ("failed", 1, "x; excepted: *.turn ×2")
    result = judge(Transposes, Transposed(found, {"*.turn": "because", "x": "too"}))
    assert result.state == "passed"
    assert [(excuse.pattern, excuse.count) for excuse in result.excuses] == [("*.turn", 2), ("x", 1)]


def test_an_exception_that_excuses_nothing_is_told_and_is_no_failure() -> None:
    result = judge(Transposes, Transposed(SOUND, {"*.turn": "because"}))
    assert result.state == "passed"
    assert result.note == "exceptions that excuse nothing here: *.turn"
    assert [excuse.count for excuse in result.excuses] == [0]


def test_every_runtime_must_run_the_file_and_answer_alike() -> None:
    good = RuntimeBehaviour(runtime="tflm", problem=None, peaks={"zeros": 0}, repeatable=True)
    assert judge(Runs, [good, good.model_copy(update={"runtime": "litert-ref"})]).n == 2
    assert judge(Runs, [good]).state == "passed"
    assert judge(Runs, [good, good.model_copy(update={"problem": "no kernel"})]).state == "failed"
    assert "another output" in judge(Runs, [good.model_copy(update={"repeatable": False})]).note
    assert judge(Runs, []).state == "failed"


@pytest.mark.parametrize(("peak", "state"), [(0, "passed"), (1, "passed"), (2, "failed"), (384, "failed")])
def test_silence(peak: int, state: str) -> None:
    result = judge(Silence, {"litert-ref": 0, "tflm": peak})
    assert (result.state, result.observed, result.limit) == (state, peak, 1)
    assert (f"tflm: {peak} codes" in result.note) is (state == "failed")


def test_silence_that_no_runtime_was_asked_for_fails() -> None:
    assert judge(Silence, {}).state == "failed"
    assert judge(Silence, {"tflm": 3}, max_codes=3).state == "passed"


def test_streamed_and_memory() -> None:
    assert judge(Streamed, {"onnxruntime": 0}).state == "passed"
    assert judge(Streamed, {"onnxruntime": 0, "litert-xnnpack": 3}).note == "litert-xnnpack: 3 samples differ"
    assert judge(Streamed, {}).state == "failed"
    assert judge(Memory, Overwritten([], 4)).state == "passed"
    assert judge(Memory, Overwritten(["clip 2"], 4)).note == "clip 2"
    assert judge(Memory, Overwritten([], 0)).state == "failed"
