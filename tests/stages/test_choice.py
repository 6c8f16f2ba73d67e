"""What is chosen, and what is refused before the first stage."""

import shlex
from pathlib import Path

import pytest
import yaml

from export_specs.foundation.errors import UserError
from export_specs.load import target_names
from pipeline.layers.global_norm.recipes import RECIPES
from pipeline.stages.choice import Choice, norm_recipes

MODEL = Path(__file__).parents[2] / "export_specs" / "models" / "convtasnet.yaml"


def test_norm_recipes_are_found_without_importing_them() -> None:
    assert norm_recipes() == sorted(RECIPES)


def test_a_target_with_an_unknown_norm_recipe_is_refused_with_the_right_ones(tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    target.write_text("name: board\nextends: tflite-int8\nnorm_recipe: scalar-gane\n")
    with pytest.raises(UserError, match=r"unknown norm recipe 'scalar-gane'.*int16-elementwise, runtime-filter, scalar-gain"):
        Choice.of("convtasnet", str(target), "ptq", "", "", "")


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (("nope", "tflite-int8", "quick", "embedded", "", ""), "convtasnet, convtasnet-causal, convtasnet-denoise-16k, convtasnet-high"),
        (("convtasnet", "nope", "quick", "embedded", "", ""), "onnx-qdq, tflite-float32"),
        (("convtasnet", "tflite-int8", "fast", "embedded", "", ""), "full, ptq, quick"),
        (("convtasnet", "tflite-int8", "quick", "nope", "", ""), "librimix:DIR"),
        (("convtasnet", "tflite-int8", "quick", "folder:/nowhere", "", ""), "no folder /nowhere"),
        (("convtasnet", "tflite-int8", "quick", "embedded", "lost.pth", ""), "lost.pth does not exist.*SpeechBrain's folder"),
        (("convtasnet", "tflite-int8", "quick", "embedded", "", "lost.yaml"), "lost.yaml"),
    ],
)
def test_wrong_setting_lists_the_right_ones(arguments: tuple[str, ...], listed: str) -> None:
    with pytest.raises(UserError, match=listed):
        Choice.of(*arguments)


def test_a_method_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    spec = tmp_path / "wide.yaml"
    spec.write_text(f"{MODEL.read_text()}\nmethod: {{input: '16'}}\n")
    with pytest.raises(UserError, match="a method for studies alone \\(input: 16\\)"):
        Choice.of("", "tflite-int8", "ptq", "", "", str(spec))


def test_the_command_chooses_the_same_again(tmp_path: Path) -> None:
    """A user's own spec, target and checkpoint are named by where they are, and not by the name that stands in them."""
    spec, target, checkpoint = tmp_path / "my spec.yaml", tmp_path / "board.yaml", tmp_path / "weights.safetensors"
    spec.write_text(MODEL.read_text().replace("name: convtasnet", "name: mine"))
    target.write_text("{name: board, extends: tflite-int8}")
    checkpoint.touch()
    choice = Choice.of("convtasnet", str(target), "ptq", "", str(checkpoint), str(spec))
    words = dict(word.split("=", 1) for word in shlex.split(choice.command)[2:])
    assert choice.command.startswith("make deploy SPEC=") and "MODEL" not in words
    assert Choice.of("", words["TARGET"], words["PROFILE"], words["DATA"], words["CHECKPOINT"], words["SPEC"]) == choice
    assert Choice.of("dptnet", "tflite-int8", "full", "", "", "").command == (
        "make deploy MODEL=dptnet TARGET=tflite-int8 PROFILE=full DATA=embedded"
    )


def test_a_target_of_the_users_own_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{name: tflite-int8, extends: tflite-int8, allowed_ops: [ADD]}")
    with pytest.raises(UserError, match=r"mine\.yaml has the name of one that ships, tflite-int8"):
        Choice.of("convtasnet", str(tmp_path / "mine.yaml"), "ptq", "", "", "")


def test_the_model_chooses_the_kind_of_data(tmp_path: Path) -> None:
    def chosen(model: str, data: str) -> str:
        return Choice.of(model, "tflite-int8", "ptq", data, "", "").data

    assert (chosen("convtasnet", ""), chosen("convtasnet-music", "")) == ("embedded", "embedded-stems")
    assert chosen("convtasnet-music", f"musdb18hq:{tmp_path}") == f"musdb18hq:{tmp_path}"
    with pytest.raises(UserError, match="embedded-stems, musdb18hq:DIR, rendered-stems"):
        chosen("convtasnet-music", "embedded")
    with pytest.raises(UserError, match="no folder /nowhere"):
        chosen("convtasnet-music", "musdb18hq:/nowhere")


@pytest.mark.parametrize(
    ("model", "data", "checkpoint", "profile"),
    [
        ("convtasnet", "", "", "shipped"),
        ("htdemucs", "", "", "shipped"),
        ("convtasnet", "debian-voices", "", "quick"),  # asked to train on it
        ("convtasnet", "", str(MODEL), "quick"),  # any file that is there
        ("convtasnet-paper", "", "", "quick"),  # no weights of it ship
    ],
)
def test_what_ships_is_the_default_unless_data_or_weights_are_given(
    model: str, data: str, checkpoint: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.stages.choice.data_identity", lambda _: "")
    assert Choice.of(model, "tflite-int8", "", data, checkpoint, "").profile == profile


@pytest.mark.parametrize("target", target_names())
def test_weights_without_norms_over_a_segment_ship_for_every_target(target: str) -> None:
    """Whose norms are whose: the recipe of a target shapes gLN, and nothing of a causal network."""
    made = Choice.of("convtasnet-causal", target, "", "", "", "")
    assert made.profile == "shipped"
    gln = Choice.of("convtasnet", target, "", "", "", "")
    assert (gln.profile == "shipped") == (gln.target.norm_recipe == "scalar-gain")


@pytest.mark.parametrize(
    ("model", "checkpoint", "words"), [("convtasnet-paper", "", "no quantized weights"), ("convtasnet", str(MODEL), "of your own")]
)
def test_what_does_not_ship_is_refused(model: str, checkpoint: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Choice.of(model, "tflite-int8", "shipped", "", checkpoint, "")


def test_a_profile_that_the_spec_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    content = yaml.safe_load(MODEL.read_text())
    del content["profiles"]["quick"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"^the spec of convtasnet has no profile 'quick'\. It has: full, ptq\.$"):
        Choice.of("", "tflite-int8", "quick", "", "", str(tmp_path / "mine.yaml"))


def test_refusals_of_what_ships_say_what_to_do() -> None:
    with pytest.raises(
        UserError, match=r"^no quantized weights of convtasnet-paper for tflite-int8 ship; train them: PROFILE=quick or PROFILE=full$"
    ):
        Choice.of("convtasnet-paper", "tflite-int8", "shipped", "", "", "")
    with pytest.raises(
        UserError, match=r"^PROFILE=shipped takes the weights that ship; with a CHECKPOINT of your own choose ptq, quick or full$"
    ):
        Choice.of("convtasnet", "tflite-int8", "shipped", "", str(MODEL), "")


def test_a_segment_by_the_memory_there_is() -> None:
    choice = Choice.of("convtasnet", "tflite-int8", "", "", "", "", "0.51")
    kernel, stride = choice.spec.network.frame()
    assert choice.spec.segment_samples <= 0.51 * 8000 < choice.spec.segment_samples + stride
    assert (choice.spec.segment_samples - kernel) % stride == 0
    assert choice.profile == "shipped", "weights do not depend on it"
    assert choice.command.endswith("SEGMENT=0.51")


@pytest.mark.parametrize("segment", ["0", "-1", "short", "nan", "inf", "0.001"])
def test_no_length_of_a_segment_is_refused(segment: str) -> None:
    with pytest.raises(UserError, match=f"SEGMENT={segment} is no length of segments"):
        Choice.of("convtasnet", "tflite-int8", "", "", "", "", segment)
