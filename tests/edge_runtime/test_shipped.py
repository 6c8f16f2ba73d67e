"""Files that ship: found by the network's name, and made of the weights and the spec that ship with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from edge_runtime.__main__ import app
from edge_runtime.model_file import read_model
from edge_runtime.shipped import FOLDER, STREAM, WHOLE, file_named, shipped_names
from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError
from export_specs.load import load_model, load_target, model_names, spec_sha256
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from pipeline.stages.graph import StageRunner
from pipeline.stages.shipped_weights import shipped_quantized

TARGET = "tflite-int8"
SHIPPED = [name for name in model_names() if shipped_quantized(load_model(name), "fqss", load_target(TARGET).norm_recipe)]
FILES = {
    name: [FOLDER / f"{name}{end}" for end in ((WHOLE, STREAM) if load_model(name).streaming is not None else (WHOLE,))] for name in SHIPPED
}


def test_every_network_with_quantized_weights_has_its_files_and_no_other() -> None:
    assert shipped_names() == SHIPPED
    assert sorted(FOLDER.iterdir()) == sorted(path for files in FILES.values() for path in files)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_made_of_the_weights_and_the_spec_that_ship(name: str) -> None:
    spec = load_model(name)
    weights = shipped_quantized(spec, "fqss", load_target(TARGET).norm_recipe)
    assert weights is not None
    for path in FILES[name]:
        stated = read_model(path).metadata
        assert stated is not None, path
        assert (stated.spec_sha256, stated.checkpoint_sha256) == (spec_sha256(spec), sha256(weights)), f"make ship MODEL={name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_what_the_code_of_today_makes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deployment, runner = Deployment(Choice.of(name, TARGET, "shipped", "", "", "")), StageRunner(tmp_path / "build", lambda _: None)
    made = [runner.run(stage) / stage.results[0] for stage in (deployment.tflite, deployment.stream_tflite) if stage is not None]
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in FILES[name]], f"make ship MODEL={name}"


def test_a_name_separates_a_recording(tmp_path: Path) -> None:
    pcm = np.random.default_rng(0).normal(0, 3000, 12000).astype(np.int16)
    soundfile.write(tmp_path / "mix.wav", pcm, 8000)
    for name, options in (("convtasnet-tiny", []), ("convtasnet-tiny", ["--stream"])):
        done = CliRunner().invoke(app, ["separate", str(tmp_path / "mix.wav"), "--model", name, "--out", str(tmp_path / "out"), *options])
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mix_1.wav", "mix_2.wav"]
    assert file_named(Path("convtasnet-tiny"), stream=True).name == "convtasnet-tiny.stream.tflite"


def test_what_is_no_name_is_a_path_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"unknown model 'convtasne'.*a path of a \.tflite or \.onnx file"):
        file_named(Path("convtasne"))
    assert file_named(Path("none.tflite")) == Path("none.tflite") and file_named(Path("dist/none")) == Path("dist/none")
    monkeypatch.chdir(tmp_path)
    Path("convtasnet").write_bytes(b"")
    assert file_named(Path("convtasnet")) == Path("convtasnet"), "a file of the user's own comes first"
