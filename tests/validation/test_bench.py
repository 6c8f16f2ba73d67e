"""The bench on small files of one and of two audio channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from export_specs.file_metadata import FileMetadata
from export_specs.schema import ModelSpec
from pipeline.convert.convert import convert
from pipeline.export.qdq import build_model
from pipeline.quantization.recipe import Recipe
from tests.tiny import quantized_network, tiny_music_spec, tiny_spec
from validation.bench import THREADS, bench


@pytest.mark.parametrize("make", [tiny_spec, tiny_music_spec])
def test_files_are_timed_beside_the_first(make: Callable[[], ModelSpec], tmp_path: Path) -> None:
    torch.compiler.set_stance("force_eager")
    spec = make()
    network = quantized_network(spec, Recipe("fqss", "scalar-gain"))
    onnx.save(build_model(network, FileMetadata.of(spec)), tmp_path / "m.onnx")
    size = convert(tmp_path / "m.onnx", tmp_path / "m.tflite").bytes
    first, second = bench({"one": tmp_path / "m.tflite", "two": tmp_path / "m.tflite"}, 3).timings
    assert (first.name, second.name, first.file_bytes) == ("one", "two", size)
    assert first.speed_over_baseline == dict.fromkeys(THREADS, 1.0)
    for threads in THREADS:
        assert first.ms_per_second[threads] > 0
        ratio = first.ms_per_second[threads] / second.ms_per_second[threads]
        assert second.speed_over_baseline[threads] == pytest.approx(ratio, rel=0.01)
    assert first.arena_bytes == second.arena_bytes
    assert first.arena_bytes is not None and first.arena_bytes > 1000
