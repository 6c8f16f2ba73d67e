"""A whole judgement of the tiny network, and the report it writes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import validation.judge as judging
from export_specs.foundation.errors import UserError
from export_specs.schema import Gates, TargetSpec
from tests.edge_runtime.conftest import write_onnx_network, write_tflite_network
from tests.validation.synthetic import make_item, noisy, write_set
from validation.__main__ import app
from validation.config import read_config
from validation.layers import read_layer_noise
from validation.level import soften
from validation.parity import SCHEMA_FILE, Parity, read_parity, schema
from validation.report import headline, number, render

LIMITS = Gates(
    mean_si_sdr_loss_db={"ptq": 200.0, "quick": 200.0, "full": 0.0},
    p5_loss_db={"ptq": 200, "quick": 200, "full": 200},
    stoi_loss={"ptq": 1, "quick": 1, "full": 1},
    order_agreement={"ptq": 0, "quick": 0, "full": 0},
)
TARGET = TargetSpec(name="tiny", format="tflite", runtimes=["onnxruntime", "litert-ref", "litert-xnnpack", "tflm"], gates=LIMITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("judge")
    write_tflite_network(base / "model.tflite")
    write_onnx_network(base / "model.qdq.onnx")
    tests = [make_item(k, f"t/{k}", "seen" if k % 2 else "unseen") for k in range(5)]
    sweeps = [make_item(9 + k, f"s{k}", "seen", snr_db=float(10 * k - 10)) for k in range(3)]
    for name, items in (("test", tests), ("sweep", sweeps)):
        renamed = [type(item)(item.id.replace("/", "-"), item.subset, item.snr_db, item.mixture, item.sources) for item in items]
        write_set(base / name, renamed, name)
        np.savez(base / f"float-{name}.npz", **{i.id: noisy(i.sources, 12, 1).astype(np.float32) for i in renamed})
    stages = [
        {"name": "float", "kind": "outputs", "path": "float-{set}.npz"},
        {"name": "onnxruntime", "kind": "model", "path": "model.qdq.onnx", "runtime": "onnxruntime"},
        {"name": "litert-ref", "kind": "model", "path": "model.tflite", "runtime": "litert-ref"},
        {"name": "tflm", "kind": "model", "path": "model.tflite", "runtime": "tflm", "items": 2},
    ]
    noise = [{"layer": f"block{k}", "kind": "Add", "own": 30.0 - k, "gathered": "inf"} for k in range(12)]
    (base / "layers.json").write_text(json.dumps(noise))
    config = {
        "layer_noise": "layers.json",
        "model": "tiny", "target": "tiny", "profile": "quick", "tflite": "model.tflite", "onnx": "model.qdq.onnx", "parameters": 15,
        "stages": stages, "sets": [{"path": "test"}, {"path": "sweep", "role": "sweep", "stages": ["float", "litert-ref"]}],
        "workers": 1, "level_items": 1, "layer_clips": 2, "audio_items": 0, "cache": "cache",
        "provenance": {"command": "make deploy", "digests": {"checkpoint": "ab"}},
    }  # fmt: skip
    (base / "judge.json").write_text(json.dumps(config))
    return base


@pytest.fixture(scope="module")
def parity(folder: Path) -> Parity:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "load_target", lambda name: TARGET)
        return judging.judge(read_config(folder / "judge.json"), folder / "out", Console(quiet=True))


def test_result_is_whole(parity: Parity, folder: Path) -> None:
    assert {path.name for path in (folder / "out").iterdir()} == {
        "parity.json", "parity.html", "summary.md", "golden_vectors.npz", "audio",
    }  # fmt: skip
    expected = {("test", "float"): 5, ("test", "onnxruntime"): 5, ("test", "litert-ref"): 5, ("test", "tflm"): 2}
    expected |= {("sweep", "float"): 3, ("sweep", "litert-ref"): 3}
    assert {(r.set, r.stage): r.summary.n for r in parity.ladder} == expected
    reference, tflm = parity.ladder[2], parity.ladder[3]
    assert tflm.items == reference.items[:2], "TFLM's waveform is that of the reference kernels"
    assert set(reference.subsets) == {"seen", "unseen"} and reference.subsets["seen"].n == 2
    assert parity.ladder[0].summary.delta == 0 and parity.ladder[0].summary.sqnr == np.inf
    assert [(p.snr_db, p.stage) for p in parity.sweep if p.stage != "float"] == [(s, "litert-ref") for s in (-10, 0, 10)]
    assert len(parity.points) == 2 * 8 and all(p.predicted_loss is not None for p in parity.sweep if p.stage == "litert-ref")


def test_gates_of_the_tiny_network(parity: Parity) -> None:
    states = {gate.id: gate.passed for gate in parity.gates}
    passing = ("exact.tflm", "structure.memory", "structure.runs", "structure.streamed", "theory.bound")
    assert [states[name] for name in passing] == [True] * len(passing)
    assert states["structure.transpose"] is False and "structure.transpose" in parity.verdict.failed and parity.verdict.passed is False
    assert {"near.litert-xnnpack", "near.onnxruntime", "task.mean", "task.waveform", "resources.bytes", "level.40"} <= set(states)


def test_the_ten_noisiest_layers_are_told(parity: Parity, folder: Path) -> None:
    assert [noise.own for noise in parity.layers.noise] == [30.0 - k for k in range(12)]
    page = (folder / "out/parity.html").read_text()
    assert [f"<code>block{k}</code>" in page for k in range(12)] == [False] * 2 + [True] * 10
    (folder / "layers-broken.json").write_text('[{"layer": "x"}]')
    with pytest.raises(UserError, match="Field required"):
        read_layer_noise(folder / "layers-broken.json")
    with pytest.raises(UserError, match="cannot read"):
        read_layer_noise(folder / "nothing.json")


def test_json_fits_the_published_schema_and_comes_back(parity: Parity, folder: Path) -> None:
    content = json.loads((folder / "out/parity.json").read_text())
    jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text()))
    assert read_parity(folder / "out/parity.json") == parity
    assert content["ladder"][0]["summary"]["sqnr"] == "inf"
    content["gates"][0]["passed"] = "maybe"
    (folder / "broken.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"gates\[0\]"):
        read_parity(folder / "broken.json")


def test_published_schema_is_that_of_the_records() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == schema(), "run validation.parity.write_schema()"


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


def test_page_is_one_file_without_network(parity: Parity, folder: Path) -> None:
    page = _Links()
    page.feed((folder / "out/parity.html").read_text())
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert sum(link.startswith("data:audio/flac;base64,") for link in page.links) == 7 * 4, (
        "3 worst, and of the 3 medians the one that is none of them"
    )
    body = [text for text in page.text if not text.startswith(("body", "Parity of"))]
    assert body[0] == headline(parity) and "synthetic speech" in body[0] and "no real device" in body[0]
    assert "NaN" not in page.text and "nan" not in page.text


def test_summary_is_short_and_begins_with_what_was_not_tested(parity: Parity, folder: Path) -> None:
    lines = (folder / "out/summary.md").read_text().splitlines()
    assert lines[0] == headline(parity) and len(lines) <= 40
    assert "FAILED" in lines[2] and any(re.match(r"\| exact.tflm \| 0", line.replace("—", "0")) for line in lines)


def test_report_is_rendered_again_and_needs_its_audio(parity: Parity, folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", "--parity", str(folder / "out/parity.json"), "--out", str(tmp_path)])
    assert isinstance(result.exception, UserError) and "these gates failed: structure.transpose" in str(result.exception)
    assert (tmp_path / "parity.html").read_text() == (folder / "out/parity.html").read_text()
    with pytest.raises(UserError, match="audio"):
        render(parity, tmp_path)


def test_second_judgement_reads_the_cache(parity: Parity, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    monkeypatch.setattr("validation.stages.separate_many", lambda *args, **kwargs: pytest.fail("a stage ran again"))
    config = read_config(folder / "judge.json").model_copy(update={"level_items": 0, "refused": {"onnx2tf int8": "no LSTM"}})
    again = judging.judge(config, folder / "again", Console(quiet=True))
    assert [r.items for r in again.ladder] == [r.items for r in parity.ladder]
    assert "no softer recordings" in again.not_tested
    assert "not beside onnx2tf int8, whose converter did not convert the network (no LSTM)" in again.not_tested


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "none"}, "is no stage"),
        ({"colour": 1}, "colour"),
        ({"sets": [{"path": "test", "role": "extra"}]}, "role 'test'"),
        ({"sets": [{"path": "test", "stages": ["litert-ref"]}]}, "leaves out the reference"),
        ({"tflite": None, "onnx": None}, "the file that is judged"),
        ({"stages": [{"name": "float", "kind": "model", "path": "x"}] * 2}, "names its runtime"),
    ],
)
def test_config_faults_are_named(folder: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "j.json").write_text(json.dumps({**json.loads((folder / "judge.json").read_text()), **change}))
    with pytest.raises(UserError, match=message):
        read_config(tmp_path / "j.json")


def test_softer_is_softer() -> None:
    np.testing.assert_array_equal(soften(np.array([1000, -1000, 3], np.int16), 20), [100, -100, 0])


def test_numbers_for_people() -> None:
    assert [number(v) for v in (None, float("inf"), -0.5, 12345.0, 0.0)] == ["—", "∞", "−0.500", "12,345", "0"]


def test_failed_gate_fails_the_command_after_the_report_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    result = CliRunner().invoke(app, ["judge", "--config", str(folder / "judge.json"), "--out", str(tmp_path / "out")])
    assert result.exit_code != 0 and isinstance(result.exception, UserError)
    assert (tmp_path / "out/parity.html").is_file() and (tmp_path / "out/parity.json").is_file()


@pytest.mark.parametrize("gates", [LIMITS, None])
def test_onnx_target_and_baseline(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gates: Gates | None) -> None:
    target = TargetSpec(name="tiny-onnx", format="onnx", converter="none", runtimes=["onnxruntime"], gates=gates)
    monkeypatch.setattr(judging, "load_target", lambda name: target)
    config = read_config(folder / "judge.json")
    kept = [stage for stage in config.stages if stage.name in ("float", "onnxruntime")]
    changes = {"tflite": None, "subject": "onnxruntime", "stages": kept, "sets": config.sets[:1], "audio_items": 1, "parameters": None}
    parity = judging.judge(config.model_copy(update=changes), tmp_path / "out", Console(quiet=True))
    assert parity.structure.format == "onnx" and parity.layers.free == [] and parity.verdict.passed is (None if gates is None else True)
    assert not any(gate.id.startswith(("exact", "near", "task.waveform")) for gate in parity.gates) and bool(parity.gates) == (
        gates is not None
    )
    assert "no sweep over the SNR" in parity.not_tested
    verdict = (tmp_path / "out/summary.md").read_text().splitlines()[2]
    assert ("NOT JUDGED" in verdict) if gates is None else ("PASSED" in verdict)


def test_target_must_fit_the_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    config = read_config(folder / "judge.json").model_copy(update={"tflite": None})
    with pytest.raises(UserError, match="must name it as 'tflite'"):
        judging.judge(config, tmp_path, Console(quiet=True))
