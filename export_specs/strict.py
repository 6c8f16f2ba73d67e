"""The base of every spec, and how a file is checked against one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from export_specs.foundation.errors import UserError

_Spec = TypeVar("_Spec", bound="Strict")


class Strict(BaseModel):
    """Base of every spec: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def part_at(cls, key: str, content: Any) -> type[Strict] | None:
        """The spec that the value of a field is checked against, ``content`` being that of all fields; None where it is no spec."""
        return _spec_in(cls.model_fields[key].annotation)


def validated(path: Path, content: object, kind: type[_Spec]) -> _Spec:
    """The content of a YAML file as a spec.

    Raises:
        UserError: it breaks the schema; each fault is named, and for an unknown key the right ones.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_told(kind, content, fault) for fault in error.errors())
        raise UserError(f"the spec {path} is not valid: {faults}") from error


def _told(kind: type[Strict], content: Any, fault: ErrorDetails) -> str:
    place = ".".join(map(str, fault["loc"])) or "spec"
    if fault["type"] != "extra_forbidden":
        return f"{place}: {fault['msg']}"
    known: type[Strict] | None = kind
    for key in fault["loc"][:-1]:
        if known is not None and isinstance(key, str) and key in known.model_fields:
            known = known.part_at(key, content)
        content = content.get(key) if isinstance(content, Mapping) else content
    return f"{place}: there is no such key" + (f"; the keys here are {', '.join(sorted(known.model_fields))}" if known else "")


def _spec_in(annotation: Any) -> type[Strict] | None:
    """The spec inside an annotation such as ``list[Part]`` or ``Noise | None``."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _spec_in(inner))), None)
