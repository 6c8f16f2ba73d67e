"""The records of decisions: numbered once each, with a status, and all of them in the index."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "adr"


def test_every_record_has_a_number_of_its_own_a_status_and_its_line_in_the_index() -> None:
    found = []
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        text = path.read_text()
        title, status = re.match(r"# (\d{4})\. (.+)\n", text), re.search(r"^Status: (.+)$", text, re.MULTILINE)
        assert title and status, path.name
        assert title[1] == path.name[:4]
        found.append(f"| [{title[1]}]({path.name}) | {title[2]} | {status[1]} |")
    numbers = [line[3:7] for line in found]
    assert len(numbers) == len(set(numbers))
    listed = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert listed == found
