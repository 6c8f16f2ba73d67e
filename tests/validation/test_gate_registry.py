"""Gates are found, given the target's settings, and never pass without evidence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import validation.gates
from export_specs.foundation.code_version import imported_files
from export_specs.foundation.errors import UserError
from export_specs.load import load_target, target_names
from export_specs.schema import Profile, TargetSpec
from validation.gate import Gate, GateSettings
from validation.gate_registry import explanations, find_gates, gate_settings, judge_all
from validation.gate_result import GateResult, at_most, no_evidence
from validation.gates.level import LevelSettings
from validation.gates.near import NearSettings
from validation.loss_limits import LossLimits
from validation.verdict import verdict

FILE = """
from __future__ import annotations
from dataclasses import dataclass
from validation.gate import ByProfile, Gate, GateSettings
class ToySettings(GateSettings):
    limit: ByProfile = {{"ptq": 1.0}}
@dataclass(frozen=True)
class Seen:
    limit: ByProfile
class Toy(Gate[Seen, ToySettings]):
    id = "{id}"
    settings = ToySettings
    def observe(self, evidence): return 1
    def judge(self, observed, settings, profile): return []
    def render(self, settings, profile): return "a toy"
"""


def target(gates: dict[str, dict[str, Any]] | None) -> TargetSpec:
    return TargetSpec(name="mine", format="tflite", runtimes=["litert-ref"], gates=gates)


def test_every_module_of_the_folder_is_a_gate_and_they_come_in_the_report_s_order() -> None:
    modules = [path.stem for path in Path(validation.gates.__file__).parent.glob("*.py") if path.stem != "__init__"]
    found = find_gates()
    assert sorted(type(gate).__module__.rpartition(".")[2] for gate in found.values()) == sorted(modules)
    families = [name.partition(".")[0] for name in found]
    assert list(dict.fromkeys(families)) == ["structure", "exact", "near", "task", "theory", "level", "resources"]


def test_a_changed_gate_makes_the_report_anew() -> None:
    """Gates are imported by nobody by name, and belong to the version of the judge's code all the same."""
    folder = Path(validation.gates.__file__).parent
    assert set(folder.glob("*.py")) <= imported_files("validation.__main__")


def test_a_file_elsewhere_adds_a_gate(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(FILE.format(id="mine.toy"))
    gates = find_gates([tmp_path / "toy.py"])
    assert list(gates)[-1] == "mine.toy", "an unknown family comes last"
    assert gate_settings(target({"mine.toy": {"limit": {"full": 2}}}), gates)["mine.toy"].model_dump() == {
        "limit": {"ptq": 1.0, "full": 2.0}
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "holds no gate"),
        (FILE.format(id="near"), "there is a gate 'near' already"),
        ("import nothing_of_the_kind", "cannot be imported"),
    ],
)
def test_faults_of_gate_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "toy.py").write_text(content)
    with pytest.raises(UserError, match=message):
        find_gates([tmp_path / "toy.py"])
    with pytest.raises(UserError, match=r"none\.py is no Python file$"):
        find_gates([tmp_path / "none.py"])


@pytest.mark.parametrize("name", target_names())
def test_the_shipped_targets_name_gates_and_settings_that_exist(name: str) -> None:
    gates = find_gates()
    assert set(gate_settings(load_target(name), gates)) == set(gates)


def test_a_target_overrides_single_settings_and_the_rest_keep_their_defaults() -> None:
    overrides = {"near": {"max_lsb": 0}, "task.mean": {"sqnr_db": {"full": 31}}, "level": {"max_change_db": {40: 1.0}}}
    written = TargetSpec.model_validate_json(target(overrides).model_dump_json())
    for spec in (target(overrides), written):
        settings = gate_settings(spec, find_gates())
        assert settings["near"] == NearSettings(max_lsb=0)
        assert settings["task.mean"] == LossLimits(sqnr_db={"ptq": 24, "quick": 26, "full": 31})
        assert settings["level"] == LevelSettings(max_change_db={6: 0.1, 12: 0.1, 20: 0.1, 40: 1.0})
        assert settings["task.sdr"] == LossLimits()


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (
            {"taks.mean": {}},
            r"target 'mine': unknown gate 'taks.mean'. Choose one of: exact.arm64, exact.steps, exact.tflm, level, .*task.mean",
        ),
        ({"near": {"max_lbs": 1}}, r"gate 'near': unknown setting 'max_lbs'. Choose one of: max_lsb, max_lsb_of_loops, max_share"),
        ({"near": {"max_lsb": -1}}, r"gate 'near': max_lsb: Input should be greater than or equal to 0"),
        ({"task.mean": {"sqnr_db": {"fast": 1}}}, r"gate 'task.mean': sqnr_db.fast"),
        ({"structure.float": {"limit": 1}}, r"gate 'structure.float' has no settings, so 'limit' cannot be set"),
    ],
)
def test_wrong_gates_and_settings_are_refused_with_the_right_ones(gates: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        gate_settings(target(gates), find_gates())


class _Given(Gate[Any, GateSettings]):
    """Gives what it is told to."""

    def __init__(self, name: str, results: list[GateResult], wanted: bool = True) -> None:
        self.id, self._results, self._wanted = name, results, wanted  # type: ignore[misc]

    def asked(self, evidence: Any, settings: GateSettings) -> bool:
        return self._wanted

    def observe(self, evidence: Any) -> None:
        return None

    def judge(self, observed: Any, settings: GateSettings, profile: Profile) -> list[GateResult]:
        return self._results

    def render(self, settings: GateSettings, profile: Profile) -> str:
        return f"about {self.id}"


def result(name: str, state: Any = "passed", n: int = 1) -> GateResult:
    return GateResult(id=name, rule="r", state=state, observed=0, limit=0, n=n, counted="things")


def test_a_gate_without_evidence_or_without_a_result_has_failed() -> None:
    gates: dict[str, Any] = {
        "good": _Given("good", [result("good")]),
        "empty": _Given("empty", [result("empty", n=0)]),
        "unsure": _Given("unsure", [result("unsure", "undecided", n=0)]),
        "silent": _Given("silent", []),
        "unasked": _Given("unasked", [result("unasked", "failed")], wanted=False),
        "parts": _Given("parts", [result("parts.a"), result("parts.b", "undecided")]),
    }
    settings = {name: GateSettings() for name in gates}
    found = judge_all(gates, settings, SimpleNamespace(), "quick")  # type: ignore[arg-type]
    assert {r.id: r.state for r in found} == {
        "good": "passed", "empty": "failed", "unsure": "failed", "silent": "failed", "parts.a": "passed", "parts.b": "undecided",
    }  # fmt: skip
    assert all("no evidence" in r.note for r in found if r.state == "failed")
    told = explanations(gates, settings, found, "quick")
    assert list(told) == ["good", "empty", "unsure", "silent", "parts"] and told["parts"] == "about parts"


def test_verdict_counts_and_says_passed_only_where_all_is_decided() -> None:
    good, open_, bad = result("a"), result("b", "undecided"), result("c", "failed")
    assert (verdict([good, good]).state, verdict([good, good]).words) == ("passed", "2 passed, 0 undecided, 0 failed")
    assert (verdict([good, open_]).state, verdict([good, open_]).words) == ("undecided", "1 passed, 1 undecided, 0 failed")
    whole = verdict([good, open_, bad])
    assert (whole.state, whole.passed, whole.undecided, whole.failed) == ("failed", 1, ["b"], ["c"])
    assert verdict([]).state == "failed", "no gate gave a result"
    assert verdict([], judged=False).state == "not judged"


def test_ways_to_a_result() -> None:
    assert no_evidence("x", "r", "why").note == "no evidence: why"
    assert at_most("x", "r", 1.0, 1.0, 5, "things").state == "passed"
    assert at_most("x", "r", 1.1, 1.0, 5, "things").state == "failed"
    assert at_most("x", "r", 0.0, 1.0, 0, "things").state == "failed"
