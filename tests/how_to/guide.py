"""The files that a guide in docs/how-to says to write."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"


def block(guide: str, language: str) -> str:
    """The only block of code in a language."""
    (found,) = (part.split("```")[0] for part in (FOLDER / guide).read_text().split(f"```{language}\n")[1:])
    return found
