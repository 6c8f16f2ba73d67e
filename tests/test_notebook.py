"""The notebook, run cell by cell as Jupyter would."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "listen.ipynb"


def cells() -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_as_it_was_written() -> None:
    """Python that compiles, and no outputs: they would be somebody's figures."""
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
    for number, text in enumerate(cells()):
        compile(text, f"cell {number}", "exec")


@pytest.mark.slow
def test_the_notebook_plays_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    display = ModuleType("IPython.display")
    display.Audio = lambda filename: filename  # type: ignore[attr-defined]
    display.display = played.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.chdir(ROOT / "docs")
    space: dict[str, Any] = {}
    for text in cells():
        exec(text, space)
    assert len(played) == 7 + 2  # mixture, float, int8 and difference of two speakers; two separated
    assert all(Path(path).stat().st_size > 1000 for path in played)
