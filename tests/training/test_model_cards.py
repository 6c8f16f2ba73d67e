"""Model cards by the parser of Hugging Face's own library: what a hub shows of them, and that each names the files beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from export_specs.load import load_model

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "pipeline" / "weights"
TEMPLATE = ROOT / "docs" / "model-card-template.md"
CARDS = sorted(WEIGHTS.glob("*/README.md"))
SECTIONS = ["Files and recipe", "Data", "Results", "Limits"]


def test_every_folder_of_weights_has_a_card() -> None:
    assert [card.parent for card in CARDS] == sorted(
        path for path in WEIGHTS.iterdir() if path.is_dir() and any(path.glob("*.safetensors"))
    )


@pytest.mark.parametrize("path", [*CARDS, TEMPLATE], ids=lambda path: path.parent.name)
def test_a_card_has_the_form(path: Path) -> None:
    card = ModelCard.load(path)
    assert card.data.license == "apache-2.0" and card.data.pipeline_tag == "audio-to-audio"
    assert {"source-separation", "int8"} <= set(card.data.tags) and card.data.datasets and "si-sdr" in card.data.metrics
    assert card.data.eval_results and all(result.dataset_name and result.metric_name for result in card.data.eval_results)
    sets = re.findall(r"^ +dataset: (.*)$", path.read_text(), re.MULTILINE)
    assert sets and all(yaml.safe_load(text).keys() == {"type", "name"} for text in sets)  # a comma in a name needs quotes
    assert re.findall(r"^## (.*)$", card.text, re.MULTILINE) == SECTIONS
    assert "**Not trained for**" in card.text.partition("## Limits")[2]


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_card_tells_what_lies_beside_it(path: Path) -> None:
    """Every file is named and every named one is there; the parser's figures stand in the text; the spec is that of the folder."""
    card, folder = ModelCard.load(path), path.parent
    named = set(re.findall(r"`([\w.-]+\.(?:safetensors|csv))`", card.text))
    assert named == {file.name for file in folder.iterdir() if file.name != "README.md"}
    assert card.data.model_name == folder.name and f"export_specs/models/{folder.name}.yaml" in card.text
    tasks = {"music-source-separation": "music", "speech-enhancement": "enhancement"}
    task = next((task for tag, task in tasks.items() if tag in card.data.tags), "separation")
    assert load_model(folder.name).task == task
    for result in card.data.eval_results or []:
        assert re.search(rf"(?<![\d.]){result.metric_value}(?!\d)", card.text), result.metric_value
