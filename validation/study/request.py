"""What a study hands to its judge."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from export_specs.foundation.errors import UserError
from export_specs.study import Study
from validation.record import Record


class RunOutputs(Record):
    """What the network of an arm gives with a seed: npz files of int16 [S, T] by item, ``{set}`` standing for the set."""

    arm: str
    seed: int
    outputs: str


class StudyRequest(Record):
    """A study's networks and mixtures. ``reference``: what the float network gives; None of a study without networks. ``budget``: of every
    arm that is trained. ``size``: facts of ``pipeline describe``."""

    study: Study
    model: str
    data: str
    budget: dict[str, float]
    sets: dict[str, Path]
    reference: str | None
    runs: list[RunOutputs]
    size: dict[str, float]
    command: str


def read_request(path: Path) -> StudyRequest:
    """The request of a file.

    Raises:
        UserError: it is missing or no request.
    """
    try:
        return StudyRequest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} is no request of a study: {error}") from error
