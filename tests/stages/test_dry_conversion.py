"""A network that the target cannot take is refused before anything is made for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from export_specs.schema import ModelSpec
from pipeline.convert import onnx2tf_baseline
from pipeline.stages import __main__, dry_conversion, evaluation_data
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from tests.tiny import tiny_dptnet, tiny_htdemucs, tiny_music_spec, tiny_sepformer, tiny_spec

NETWORKS = {
    "convtasnet": tiny_spec,
    "dptnet": tiny_dptnet,
    "sepformer": tiny_sepformer,
    "music": tiny_music_spec,
    "htdemucs": tiny_htdemucs,
}


def deployment(spec: ModelSpec, target: str, folder: Path) -> Deployment:
    (folder / "tiny.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    data = "" if spec.task != "music" else f"musdb18hq:{folder}"
    return Deployment(Choice.of("", target, "ptq", data, "", str(folder / "tiny.yaml")))


def operators(spec: ModelSpec, target: str, folder: Path) -> dict[str, int]:
    stage = deployment(spec, target, folder).dry_conversion
    dry_conversion.run(folder, stage.settings, stage.files)
    found: dict[str, int] = json.loads((folder / "operators.json").read_text())
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_what_the_target_takes_passes_with_its_operators(network: str, tmp_path: Path) -> None:
    found = operators(NETWORKS[network](), "tflite-int8", tmp_path)
    assert set(found) <= set(load_target("tflite-int8").allowed_ops)
    assert found["CONV_2D"] > 0
    assert ("WHILE" in found) == (network == "dptnet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["operators.json", "tiny.yaml"]


def test_the_streaming_graph_is_tried_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec.model_validate({**tiny_spec(causal=True).model_dump(), "streaming": {"hop_frames": 3}})
    hops: list[int] = []

    def refuses(_: object, hop: int) -> None:
        hops.append(hop)
        raise UserError("it looks ahead")

    monkeypatch.setattr(dry_conversion, "to_streaming", refuses)
    with pytest.raises(UserError, match="it looks ahead"):
        operators(spec, "onnx-qdq", tmp_path)
    assert hops == [3]


def test_onnx_is_not_lowered(tmp_path: Path) -> None:
    assert operators(tiny_dptnet(), "onnx-qdq", tmp_path)["Scan"] > 0


def test_the_reason_is_told(tmp_path: Path) -> None:
    """LSTMs are loops, which the target for NPUs has not."""
    with pytest.raises(
        UserError, match=r"target tflite-int8-npu cannot take the network of tiny: .*lstm.*op LESS, which the target does not"
    ):
        operators(tiny_dptnet(), "tflite-int8-npu", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_target_of_the_users_own_without_an_operator_that_the_norms_need(tmp_path: Path) -> None:
    base = load_target("tflite-int8")
    target = {"name": "mine", "extends": "tflite-int8", "allowed_ops": [op for op in base.allowed_ops if op != "BATCH_MATMUL"]}
    (tmp_path / "mine-target.yaml").write_text(yaml.safe_dump(target))
    with pytest.raises(UserError, match=r"target mine cannot take .* op BATCH_MATMUL"):
        operators(tiny_spec(), str(tmp_path / "mine-target.yaml"), tmp_path)


def test_onnx2tf_decides_for_its_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(float_onnx: Path, out: Path) -> Path:
        assert float_onnx.is_file()
        raise onnx2tf_baseline.ConversionRefusedError("Scan is unknown to me")

    monkeypatch.setattr(dry_conversion, "convert_with_onnx2tf", refuses)
    with pytest.raises(UserError, match="target tflite-int8-ptq cannot take the network of tiny: Scan is unknown to me"):
        operators(tiny_spec(), "tflite-int8-ptq", tmp_path)


@pytest.mark.parametrize("goal", ["deploy", "validate", "convert", "export", "qat"])
def test_it_comes_before_every_other_stage(goal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the network is made but what says that it cannot be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_dptnet().model_dump(mode="json")))
    monkeypatch.setattr(evaluation_data, "run", lambda *_: pytest.fail("data was made"))
    done = CliRunner().invoke(__main__.app, [goal, "--spec", "tiny.yaml", "--target", "tflite-int8-npu", "--profile", "ptq"])
    assert isinstance(done.exception, UserError) and "cannot take" in str(done.exception)
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "build" / "tiny").iterdir()] == ["dry-conversion"]
