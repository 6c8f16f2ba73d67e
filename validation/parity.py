"""The parity report as data: what parity.json holds. Its published schema is parity.schema.json beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import jsonschema
from pydantic import ValidationError

from export_specs.foundation.atomic import write_text
from export_specs.foundation.errors import UserError
from validation.accounting import Cost
from validation.behaviour import RuntimeBehaviour
from validation.gate_result import GateResult
from validation.golden_inputs import OpComparison
from validation.input_contract import Contract
from validation.ladder import StageResult
from validation.layers import LayerNoise, RuntimeComparison
from validation.level import LevelPoint
from validation.record import Number, Record
from validation.structure import Structure
from validation.sweep import SweepPoint
from validation.theory import EstimatePoint, SdrBin
from validation.tiles import Tile
from validation.vela import NpuEstimate
from validation.verdict import Verdict

SCHEMA_FILE = Path(__file__).with_name("parity.schema.json")
SCHEMA_VERSION = "2.2"


class FileDigest(Record):
    """One file of the subject."""

    name: str
    sha256: str
    bytes: int


class Subject(Record):
    """What was judged. ``reference`` and ``stage`` are the stages that were compared."""

    model: str
    target: str
    profile: str
    parameters: int
    sample_rate: int
    segment_samples: int
    reference: str
    stage: str
    files: list[FileDigest]


class DataSet(Record):
    """One evaluation set: how many of its items were judged, how long they are, whether a synthesiser spoke them."""

    name: str
    role: str
    n: int
    total: int
    seconds: Number
    sample_rate: int
    synthetic: bool
    licence: str
    description: str
    manifest_sha256: str
    subsets: dict[str, int]


class Layers(Record):
    """Free-running comparisons by runtime, op-by-op ones with golden inputs by runtime, and the trainer's noise of each layer."""

    free: list[RuntimeComparison]
    golden_inputs: dict[str, list[OpComparison]]
    noise: list[LayerNoise]


class Resources(Record):
    """Size and work. ``float_cost`` is None where no float ONNX was given, ``arena_bytes`` where TFLM does not run the file."""

    file_bytes: int
    bytes_per_parameter: Number
    arena_bytes: int | None
    cost: Cost | None
    float_cost: Cost | None


class Clip(Record):
    """One recording of the audio folder. ``kind`` is mixture, clean, float, result or difference; ``rank`` tells why the mixture was
    chosen."""

    item: str
    rank: Literal["worst", "median", "sample"]
    kind: str
    source: int | None
    path: str
    sha256: str
    loss_db: Number


class Parity(Record):
    """The whole report. ``explanations`` of the gates go by the gate's id; ``theory`` has every stage, ``points`` the subject alone."""

    schema_version: Literal["2.2"] = "2.2"
    not_tested: list[str]
    verdict: Verdict
    tiles: list[Tile]
    subject: Subject
    environment: dict[str, str]
    data: list[DataSet]
    gates: list[GateResult]
    explanations: dict[str, str]
    ladder: list[StageResult]
    sweep: list[SweepPoint]
    level: list[LevelPoint]
    contract: Contract | None
    npu: list[NpuEstimate]
    theory: list[SdrBin]
    points: list[EstimatePoint]
    behaviour: list[RuntimeBehaviour]
    layers: Layers
    structure: Structure
    resources: Resources
    audio: list[Clip]
    provenance: dict[str, str]
    reproduce: str
    seconds: Number


def schema() -> dict[str, Any]:
    """The JSON schema of parity.json, as parity.schema.json publishes it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Parity report",
        **Parity.model_json_schema(mode="serialization"),
    }


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the published schema anew, after the records have changed."""
    write_text(path, json.dumps(schema(), indent=1, sort_keys=True) + "\n")


def write_parity(parity: Parity, path: Path) -> None:
    """Write parity.json, checked against the published schema.

    Raises:
        jsonschema.ValidationError: the report does not fit its schema (a mistake of ours).
    """
    content = parity.model_dump(mode="json")
    jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text()))
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_parity(path: Path) -> Parity:
    """Read a parity.json.

    Raises:
        UserError: unreadable, not JSON, or not fitting the schema.
    """
    try:
        content = json.loads(path.read_text())
        jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text()))
        return Parity.model_validate(content)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise UserError(f"{path} is not a parity report of version {SCHEMA_VERSION}: {error.json_path}: {error.message[:300]}") from error
    except ValidationError as error:
        raise UserError(f"{path} is not a parity report: {error}") from error
