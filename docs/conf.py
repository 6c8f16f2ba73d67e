"""The site of these documents: ``make docs``. A path to one of them, as the texts and GitHub show it, becomes a link here."""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "fqss-deploy"
author = "the authors of fqss-deploy"
extensions = ["myst_parser"]
exclude_patterns = ["model-card-template.md", "build"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "fqss-deploy"
html_copy_source = False
lexers["mermaid"] = TextLexer()  # GitHub draws it; a script from elsewhere would have to here

HERE = Path(__file__).parent
LISTED = {"adr/README": "[0-9]*", "studies/README": "*-*"}  # indexes that GitHub shows as well, and the pages that they list
PATH = re.compile(r"`docs/([\w/.-]+\.md)`")


def _link(match: re.Match[str]) -> str:
    there = (HERE / match[1]).is_file() and match[1] not in exclude_patterns
    return f"[{match[0]}](/{match[1]})" if there else match[0]


def _with_links(app: object, name: str, source: list[str]) -> None:
    source[0] = PATH.sub(_link, source[0])
    if name in LISTED:
        source[0] += f"\n```{{toctree}}\n:glob:\n:hidden:\n{LISTED[name]}\n```\n"


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _with_links)  # type: ignore[attr-defined]
