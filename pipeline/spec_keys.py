"""``python -m pipeline.spec_keys``: write ``docs/spec-keys.md``, every key of a spec with its type, default and meaning."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from export_specs.method import Method
from export_specs.schema import ModelSpec, QatProfile, StreamingSpec, TargetSpec, TrainingSpec
from export_specs.strict import Strict
from pipeline.networks.specs import architectures, network_spec

PAGE = Path(__file__).parents[1] / "docs" / "spec-keys.md"
HEAD = """# Keys of a spec

Written by `python -m pipeline.spec_keys` from `export_specs/schema.py`; a test compares. How to write one: `docs/own-spec.md`, of a
target `docs/how-to/add-a-target.md`.
"""
PARTS: dict[str, type[Strict]] = {
    "A model": ModelSpec,
    "`method` of a model": Method,
    "`streaming` of a model": StreamingSpec,
    "`training` of a model": TrainingSpec,
    "Each of the `profiles` of a model": QatProfile,
}
SIGNS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤", "multipleOf": "a multiple of"}


def page() -> str:
    """The whole document."""
    networks = {f"`network` of `architecture: {name}`": network_spec(name) for name in architectures()}
    parts: dict[str, type[Strict]] = {**PARTS, **networks, "A target": TargetSpec}
    return HEAD + "".join(_section(title, spec) for title, spec in parts.items())


def _section(title: str, spec: type[Strict]) -> str:
    schema = spec.model_json_schema()
    known, needed = schema.get("$defs", {}), schema.get("required", [])
    words = re.sub(r"\s+", " ", inspect.cleandoc(spec.__doc__ or "")).replace("``", "`").replace("|", "\\|")
    rows = []
    for key, entry in schema["properties"].items():
        default = "needed" if key in needed else _value(entry.get("default", ""))
        rows.append(f"| `{key}` | {_kind(entry, known)} | {default} | {entry.get('description', '')} |\n")
    return f"\n## {title}\n\n{words}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{''.join(rows)}"


def _kind(entry: dict[str, Any], known: dict[str, Any]) -> str:
    """A property's type in words, from its JSON schema."""
    if "$ref" in entry:
        return "mapping, below" if known.get(entry["$ref"].rpartition("/")[2], {}).get("type") == "object" else "any"
    if "anyOf" in entry:
        return " or ".join(_kind(other, known) for other in entry["anyOf"] if other.get("type") != "null")
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    if entry.get("type") == "array":
        inner = entry.get("items", entry.get("prefixItems", [{}])[0] if "prefixItems" in entry else {})
        return f"list of {_kind(inner, known)}"
    limits = [f"{sign} {entry[name]}" for name, sign in SIGNS.items() if name in entry]
    kind = {"object": "mapping", "string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
    return " ".join([kind.get(entry.get("type", ""), "any"), ", ".join(limits)]).strip()


def _value(default: Any) -> str:
    if default is None or isinstance(default, dict):
        return "none" if default is None else "see there"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if default not in ("", []) else "empty"


if __name__ == "__main__":
    PAGE.write_text(page())
