"""Files of a package that are the same for every network but for some words: templates with @NAME@ where a word goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def filled(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The text of every file below ``folder`` by its path relative to it, with @NAME@ replaced by ``values["NAME"]``."""
    texts = {}
    for template in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = template.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        texts[str(template.relative_to(folder))] = text
    return texts
