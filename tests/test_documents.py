"""What the documents name is there, and what is written by a program is what it writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pipeline.spec_keys import PAGE, page

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_A_TIME = ("adr", "how-to/add", "how-to/bring", "model-card")  # records, and guides to files that their reader writes
PATHS = re.compile(r"`((?:docs|pipeline|edge_runtime|export_specs|validation|fqss|requirements|containers|data)/[\w/.-]+)`")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_is_named_leads_somewhere(path: Path) -> None:
    named = set(PATHS.findall(path.read_text()))
    if any(f"docs/{part}" in str(path) for part in OF_A_TIME):
        named = {name for name in named if name.startswith("docs/")}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_document_is_in_the_site() -> None:
    listed = re.findall(r"^([\w/-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    pages = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    records = {
        name for name in pages if name.startswith(("adr/", "studies/")) and not name.endswith("/README")
    }  # listed in their own indexes
    assert pages - records == {*listed, "index", "model-card-template"}


def test_the_keys_of_specs_are_those_of_the_schema() -> None:
    text = page()
    assert text == PAGE.read_text()
    for spec in [*(ROOT / "export_specs" / "models").iterdir(), *(ROOT / "export_specs" / "targets").iterdir()]:
        content = yaml.safe_load(spec.read_text())
        for key in {*content, *content.get("network", {}), *content.get("training", {})} - {"extends"}:
            assert f"| `{key}` |" in text, (spec.name, key)
