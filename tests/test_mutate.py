"""The table of what is mutated names files that are there."""

from __future__ import annotations

from tests.mutate import ROOT, TESTS, covering_tests, mutated_files


def test_stages_training_and_judge_are_mutated_each_with_covering_tests_its_own() -> None:
    files = mutated_files()
    assert {"pipeline/stages/graph.py", "pipeline/training/qat.py", "validation/judge.py"} <= set(files)
    assert not any("templates" in file or file.endswith("__.py") for file in files)
    assert set(TESTS) <= set(files)
    for file in files:
        assert covering_tests(file) and all((ROOT / tests).exists() for tests in covering_tests(file)), file
