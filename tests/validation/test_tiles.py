"""The six figures that a reader asks first, worded."""

from __future__ import annotations

from typing import Any

from validation.behaviour import RuntimeBehaviour
from validation.bootstrap import Interval
from validation.ladder import StageResult, Summary
from validation.tiles import latency_tile, loss_tile, memory_tile, size_tile, speed_tile, verdict_tile
from validation.verdict import Verdict


def result(stage: str, pace: float | None, delta: float = -0.16, beside: bool = False) -> StageResult:
    around = {"delta_interval": Interval(low=-0.28, high=-0.052), "delta": delta, "n": 96, "float_si_sdr_improvement": 8.26}
    # only what a tile reads
    return StageResult.model_construct(
        stage=stage, set="test", beside=beside, seconds_per_second=pace, summary=Summary.model_construct(**around)
    )


def test_loss_counts_downwards_from_float() -> None:
    tile = loss_tile(result("litert-ref", 0.3))
    assert tile.value == "0.16 dB of SI-SDR (95 %: 0.05 … 0.28)"
    assert tile.note == "against float, 96 mixtures in litert-ref; float improves them by 8.3 dB"
    assert loss_tile(result("litert-ref", 0.3, delta=0.001)).value.startswith("0.00 dB")
    assert loss_tile(None).value == "not measured"


def test_size_is_beside_four_bytes_a_parameter() -> None:
    assert size_tile(500_000, 395_000).value == "500 kB, 3.2 times smaller than float"
    assert size_tile(2_000, 15).value == "2 kB, larger than float"
    assert size_tile(12_345_678, 10_000_000).value.startswith("12.3 MB, 3.2 times")


def test_memory_is_the_arena_of_the_runtime_that_has_one() -> None:
    none: dict[str, Any] = {"problem": None}
    runtimes = [RuntimeBehaviour(runtime="litert-ref", **none), RuntimeBehaviour(runtime="tflm", arena_bytes=1_234_567, **none)]
    assert memory_tile(runtimes).value == "1,235 kB of arena"
    assert memory_tile(runtimes[:1]).value == "not measured"


def test_speed_is_that_of_the_fastest_runtime_of_the_target() -> None:
    ladder = [result("float", 0.2), result("ptq", 0.01, beside=True), result("litert-ref", 3.2), result("litert-xnnpack", 0.055)]
    tile = speed_tile([*ladder, result("fake-quantized", None)], "test")
    assert tile.value == "0.055 s for a second of audio"
    assert tile.note.startswith("litert-xnnpack on this computer") and "float in onnxruntime 0.200 s" in tile.note
    assert speed_tile([*ladder, result("onnxruntime", 0.001)], "test") == tile, "which runs another file"
    assert speed_tile([ladder[0], result("onnxruntime", 0.03)], "test").value.startswith("0.030 s")
    assert speed_tile(ladder, "other").value == "not measured"


def test_verdict_names_the_undecided_and_latency_is_a_segment() -> None:
    found = Verdict(state="undecided", words="15 passed, 1 undecided, 0 failed", passed=15, undecided=["task.stoi"], failed=[])
    assert (verdict_tile(found).value, verdict_tile(found).note) == (found.words, "undecided: task.stoi")
    assert latency_tile(32000, 8000).value == "4.00 s"
    streaming = latency_tile(32000, 8000, stream_samples=80)
    assert streaming.value == "10 ms" and "4.00 s" in streaming.note
