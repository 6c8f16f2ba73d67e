"""The base of every spec, and how a file is checked against one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from export_specs.foundation.errors import UserError

_Spec = TypeVar("_Spec", bound="Strict")


class Strict(BaseModel):
    """Base of every spec: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def validated(path: Path, content: object, kind: type[_Spec]) -> _Spec:
    """The content of a YAML file as a spec.

    Raises:
        UserError: it breaks the schema; each fault is named, and for an unknown key the right ones.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_told(kind, fault) for fault in error.errors())
        raise UserError(f"the spec {path} is not valid: {faults}") from error


def _told(kind: type[Strict], fault: ErrorDetails) -> str:
    place = ".".join(map(str, fault["loc"])) or "spec"
    if fault["type"] != "extra_forbidden":
        return f"{place}: {fault['msg']}"
    known: type[Strict] | None = kind
    for key in fault["loc"][:-1]:
        if known is not None and isinstance(key, str) and key in known.model_fields:
            known = _spec_in(known.model_fields[key].annotation)
    return f"{place}: there is no such key" + (f"; the keys here are {', '.join(sorted(known.model_fields))}" if known else "")


def _spec_in(annotation: Any) -> type[Strict] | None:
    """The spec inside an annotation such as ``list[Part]`` or ``Noise | None``."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _spec_in(inner))), None)
