"""What of others' work is in the files of a release, and under which licence: THIRD_PARTY.md and NOTICE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from export_specs.foundation.errors import UserError
from pipeline.release.deployed import Release

ORIGINS = Path(__file__).with_name("origins.yaml")
PRODUCT = "fqss-deploy"
UNSTATED = "not stated"


@dataclass(frozen=True)
class Origin:
    """A work of others. ``licence`` is an SPDX identifier, or "" where ``terms`` say what holds. ``role`` is what it is to the release."""

    title: str
    licence: str
    terms: str
    by: str
    url: str
    role: str

    @property
    def licence_words(self) -> str:
        """The licence, or the terms."""
        return self.licence or self.terms or UNSTATED


def card_facts(card: str) -> dict[str, Any]:
    """The front matter of a model card.

    Raises:
        UserError: it has none.
    """
    parts = card.split("---\n", 2)
    facts = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    if not isinstance(facts, dict):
        raise UserError("the model card has no front matter: it begins with a line ---, YAML and a line --- (docs/model-card-template.md)")
    return facts


def trained_on(facts: dict[str, Any]) -> list[Origin]:
    """The data sets that a card's front matter names; one that is unknown here keeps its name and has no licence."""
    known = yaml.safe_load(ORIGINS.read_text())["data_sets"]
    role = "trained on"
    return [
        Origin(found["title"], found["licence"], found.get("terms", ""), found["by"], found["url"], role)
        if (found := known.get(name)) is not None
        else Origin(name, "", "", "", "", role)
        for name in facts.get("datasets", [])
    ]


def judged_on(release: Release) -> list[Origin]:
    """The evaluation sets, of whose mixtures ``audio/`` and the golden vectors are made; each kind once."""
    origins = {(data["description"], data["licence"]) for data in release.parity["data"]}
    return [Origin(description, "", licence, "", "", "judged on; in audio/ and golden vectors") for description, licence in sorted(origins)]


def software(files: set[str]) -> list[Origin]:
    """Programs and fonts of others that the files hold or need."""
    found = [entry for entry in yaml.safe_load(ORIGINS.read_text())["software"] if entry["place"] in files]
    elsewhere = "not contained; what builds device/ brings it"
    return [
        Origin(entry["name"], entry["licence"], "", entry["by"], entry["url"], entry["place"] if entry["contained"] else elsewhere)
        for entry in found
    ]


def third_party(release: Release, facts: dict[str, Any], files: set[str]) -> str:
    """THIRD_PARTY.md."""
    lines = [
        f"# Of others' work in {release.name}",
        "",
        f"The program that made these files, {PRODUCT}, and the C and C++ code in `device/` are Apache-2.0 (`LICENSE`).",
        f"The weights in the model files: {facts.get('license', UNSTATED)}.",
        "",
        "| work | by | licence | where |",
        "|---|---|---|---|",
    ]
    for origin in (*trained_on(facts), *judged_on(release), *software(files)):
        title = f"[{origin.title}]({origin.url})" if origin.url else origin.title
        lines.append(f"| {title} | {origin.by or '—'} | {origin.licence_words} | {origin.role} |")
    if not facts.get("datasets"):
        lines += ["", "What the weights were trained on is not stated: their owner knows, and says so in a card (`fqss release --card`)."]
    return "\n".join(lines) + "\n"


def notice(release: Release, facts: dict[str, Any]) -> str:
    """NOTICE: what has to be said wherever the files go."""
    lines = [release.name, "", f"Made with {PRODUCT}, Apache License 2.0."]
    lines += [
        f"Contains weights trained on {origin.title} ({origin.by}), {origin.licence_words}. {origin.url}"
        for origin in trained_on(facts)
        if origin.by
    ]
    return "\n".join(lines) + "\n"  # fmt: skip
