"""``fqss models``: the networks that ship, from their specs, their weights and the cards of these."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

import pipeline  # it tells export_specs which networks there are
from export_specs.foundation.code_version import ROOT
from export_specs.load import load_model, load_target, model_names
from pipeline.stages.shipped_weights import FLOAT, quantized_name

WEIGHTS = ROOT / pipeline.__name__ / "weights"
SHIPPED_TARGET = "tflite-int8"  # for whose norms weights are trained
KINDS = ("float and int8", "float", "none")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Line:
    """One network. ``parameters``: as its card or its description tells, else the values in its float weights; None without any.
    ``figure`` is the last of the first result on the card, "" without one."""

    name: str
    description: str
    parameters: int | None
    weights: str
    figure: str


def model_lines(weights: Path = WEIGHTS) -> list[Line]:
    """Every model that MODEL can name, those with quantized weights first."""
    lines = [_line(name, weights / name) for name in model_names()]
    return sorted(lines, key=lambda line: (KINDS.index(line.weights), line.name))


def _line(name: str, folder: Path) -> Line:
    spec = load_model(name)
    quantized = quantized_name(spec, "fqss", load_target(SHIPPED_TARGET).norm_recipe, "full")
    there = [(folder / file).is_file() for file in (FLOAT, f"{quantized}.safetensors")]
    weights = KINDS[0] if all(there) else KINDS[1] if there[0] else KINDS[2]
    card = (folder / "README.md").read_text() if (folder / "README.md").is_file() else ""
    told = re.search(r"([\d,]{5,}) parameters", f"{card}{spec.description}")
    parameters = int(told[1].replace(",", "")) if told else _values(folder / FLOAT) if there[0] else None
    return Line(name, spec.description, parameters, weights, _figure(card))


def _values(path: Path) -> int:
    """The number of values in a safetensors file, from its header alone."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _figure(card: str) -> str:
    if not card:
        return ""
    front: dict[str, Any] = yaml.safe_load(card.split("---\n", 2)[1])
    results = [result for entry in front.get("model-index", []) for result in entry["results"]]
    if not results:
        return ""
    metric = results[0]["metrics"][-1]
    return f"{metric['value']} {metric['name']} ({results[0]['dataset']['type']})"


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """The networks: what each is, size, weights, figures."""
    lines = model_lines()
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=1))
        return
    typer.echo(f"{'model':<24}{'parameters':>12}  {'weights':<16}what; figure")
    for line in lines:
        count = "" if line.parameters is None else f"{line.parameters:,}"
        figure = f" {line.figure}." if line.figure else ""
        typer.echo(f"{line.name:<24}{count:>12}  {line.weights:<16}{line.description}{figure}")
