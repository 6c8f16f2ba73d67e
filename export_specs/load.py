"""Reading specs by name or from a user's own YAML file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from export_specs.inheritance import is_file_name, named, names_in, read_yaml, with_bases
from export_specs.schema import ModelSpec, TargetSpec
from export_specs.strict import Strict, validated
from export_specs.study import Study

_ROOT = Path(__file__).parent


def model_names() -> list[str]:
    """Names of the models that ship with the product."""
    return names_in(_ROOT / "models")


def target_names() -> list[str]:
    """Names of the deployment targets."""
    return names_in(_ROOT / "targets")


def load_model(name_or_path: str) -> ModelSpec:
    """The model spec of that name, or the one in a YAML file of the user's.

    Raises:
        UserError: unknown name, unreadable file, or a spec that breaks the schema (each fault is named).
    """
    path = Path(name_or_path) if is_file_name(name_or_path) else named(_ROOT / "models", "model", name_or_path)
    return validated(path, read_yaml(path), ModelSpec)


def load_target(name_or_path: str) -> TargetSpec:
    """The target spec of that name, or the one in a YAML file of the user's; either may extend another (``export_specs.inheritance``).

    Raises:
        UserError: unknown name, unreadable file, a base that does not exist or leads back, or a spec that breaks the schema.
    """
    path = Path(name_or_path) if is_file_name(name_or_path) else named(_ROOT / "targets", "target", name_or_path)
    return validated(path, with_bases(path, _ROOT / "targets", "target"), TargetSpec)


def study_names() -> list[str]:
    """Names of the studies."""
    return names_in(_ROOT / "studies")


def load_study(name_or_path: str) -> Study:
    """The study of that name, or the one in a YAML file of the user's; either may extend another (``export_specs.inheritance``).

    Raises:
        UserError: as :func:`load_target`.
    """
    path = Path(name_or_path) if is_file_name(name_or_path) else named(_ROOT / "studies", "study", name_or_path)
    return validated(path, with_bases(path, _ROOT / "studies", "study"), Study)


def spec_sha256(spec: Strict) -> str:
    """Digest of a spec's content, independent of the file's layout and comments."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
