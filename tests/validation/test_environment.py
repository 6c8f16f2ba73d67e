"""A report names the versions of what ran, and of nothing else."""

from __future__ import annotations

import pytest

from export_specs.foundation.code_version import library_versions
from export_specs.schema import RUNTIMES
from validation import environment as environments
from validation.environment import environment

OF_RUNTIMES = {"ai-edge-litert", "tflite-micro", "onnxruntime"}


@pytest.mark.parametrize(
    ("runtimes", "named"),
    [
        (["onnxruntime"], {"onnxruntime"}),
        (["litert-ref", "litert-xnnpack"], {"ai-edge-litert"}),
        (["arm64-litert-ref", "arm64-onnxruntime"], {"ai-edge-litert", "onnxruntime"}),
        (["tflm", "litert-opt"], {"tflite-micro", "ai-edge-litert"}),
        (RUNTIMES, OF_RUNTIMES),
    ],
)
def test_versions_of_the_runtimes_that_ran(runtimes: list[str], named: set[str]) -> None:
    assert OF_RUNTIMES & set(environment(1, runtimes)) == named


def test_a_version_that_is_named_is_part_of_the_stages_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a report kept from before never goes by the version of now."""
    monkeypatch.setattr(environments, "version", lambda name: f"version of {name}")
    told = {name for name, value in environment(1, RUNTIMES).items() if value.startswith("version of")}
    keyed = {name.replace("_", "-") for name in library_versions("pipeline.stages.report", "validation.__main__")}
    assert OF_RUNTIMES < told <= keyed
