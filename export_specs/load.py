"""Reading specs by name or from a user's own YAML file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from export_specs.foundation.errors import UserError, choice_error
from export_specs.schema import ModelSpec, TargetSpec
from export_specs.strict import Strict

_ROOT = Path(__file__).parent
_Spec = TypeVar("_Spec", bound=Strict)


def model_names() -> list[str]:
    """Names of the models that ship with the product."""
    return sorted(path.stem for path in (_ROOT / "models").glob("*.yaml"))


def target_names() -> list[str]:
    """Names of the deployment targets."""
    return sorted(path.stem for path in (_ROOT / "targets").glob("*.yaml"))


def load_model(name_or_path: str) -> ModelSpec:
    """The model spec of that name, or the one in a YAML file of the user's.

    Raises:
        UserError: unknown name, unreadable file, or a spec that breaks the schema (each fault is named).
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return _read(Path(name_or_path), ModelSpec)
    if name_or_path not in model_names():
        raise choice_error("model", name_or_path, model_names())
    return _read(_ROOT / "models" / f"{name_or_path}.yaml", ModelSpec)


def load_target(name: str) -> TargetSpec:
    """The target spec of that name.

    Raises:
        UserError: unknown name; the right ones are listed.
    """
    if name not in target_names():
        raise choice_error("target", name, target_names())
    return _read(_ROOT / "targets" / f"{name}.yaml", TargetSpec)


def spec_sha256(spec: Strict) -> str:
    """Digest of a spec's content, independent of the file's layout and comments."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()


def _read(path: Path, kind: type[_Spec]) -> _Spec:
    try:
        content = yaml.safe_load(path.read_bytes())  # of bytes it says itself what is no text
    except OSError as error:
        raise UserError(f"cannot read the spec {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UserError(f"the spec {path} is not YAML: {error}") from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'spec'}: {fault['msg']}" for fault in error.errors())
        raise UserError(f"the spec {path} is not valid: {faults}") from error
