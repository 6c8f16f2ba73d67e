"""docs/how-to/add-a-gate.md, followed from outside the package: one file, and it is judged, explained and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import validation.gates
from export_specs.foundation.errors import UserError
from tests.validation.judged_case import TARGET, write_case
from validation.config import read_config
from validation.gate_registry import find_gates
from validation.judge import judge
from validation.parity import Parity

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-gate.md"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with what the guide says to write, and nothing else."""
    (block,) = (part.split("```")[0] for part in GUIDE.read_text().split("```python\n")[1:])
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "headroom.py").write_text(block)
    return folder


def judged(case: Path, out: Path, gate: Path, **settings: int) -> Parity:
    """The tiny network, judged with the gate beside the others; ``settings`` are what the target says of it."""
    gates = {**(TARGET.gates or {}), "task.headroom": settings}
    (out.parent / "target.yaml").write_text(yaml.safe_dump({**TARGET.model_dump(mode="json"), "gates": gates}))
    config = json.loads((case / "judge.json").read_text())
    config |= {"gate_files": [str(gate)], "target": str(out.parent / "target.yaml"), "sets": [{"path": "test"}]}
    (case / "mine.json").write_text(json.dumps(config))
    return judge(read_config(case / "mine.json"), out)


def test_one_file_adds_a_gate(case: Path, written: Path, tmp_path: Path) -> None:
    assert [path.name for path in written.iterdir()] == ["headroom.py"]
    parity = judged(case, tmp_path / "out", written / "headroom.py", max_codes=7)
    result = next(gate for gate in parity.gates if gate.id == "task.headroom")
    assert (result.state, result.limit, result.n, result.counted) == ("failed", 7, 4, "runtimes")
    assert result.observed == max(found.peaks["a clip"] for found in parity.behaviour)
    assert "task.headroom" in parity.verdict.failed
    summary, page = ((tmp_path / "out" / name).read_text() for name in ("summary.md", "parity.html"))
    assert "| task.headroom | " in summary and "| 4 runtimes | failed |" in summary
    assert "a clip may drive it to 7 codes" in page
    families = [gate.id.partition(".")[0] for gate in parity.gates]
    assert families.index("task") <= [gate.id for gate in parity.gates].index("task.headroom") < families.index("theory")


def test_it_passes_by_its_default_and_its_settings_are_checked(case: Path, written: Path, tmp_path: Path) -> None:
    parity = judged(case, tmp_path / "out", written / "headroom.py")
    assert next(gate for gate in parity.gates if gate.id == "task.headroom").state == "passed"
    with pytest.raises(UserError, match=r"unknown setting 'codes'. Choose one of: max_codes"):
        judged(case, tmp_path / "again", written / "headroom.py", codes=1)


def test_in_the_package_it_is_found_without_being_named(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation.gates, "__path__", [*validation.gates.__path__, str(written)])
    assert "task.headroom" in find_gates()
