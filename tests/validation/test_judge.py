"""A whole judgement of the tiny network, and the report it writes."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import validation.judge as judging
from export_specs.foundation.errors import UserError
from export_specs.schema import TargetSpec
from tests.validation.judged_case import LIMITS, TARGET, write_case
from validation.__main__ import app
from validation.config import read_config
from validation.layers import read_layer_noise
from validation.level import soften
from validation.parity import SCHEMA_FILE, Parity, read_parity, schema
from validation.report import exceptions as exceptions_of
from validation.report import headline, number, render


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def parity(folder: Path) -> Parity:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "load_target", lambda name: TARGET)
        return judging.judge(read_config(folder / "judge.json"), folder / "out")


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
    states = {gate.id: gate.state for gate in parity.gates}
    passing = ("exact.tflm", "structure.memory", "structure.runs", "structure.streamed", "structure.silence", "resources.bytes")
    assert [states[name] for name in passing] == ["passed"] * len(passing)
    assert states["structure.transpose"] == "failed" and "structure.transpose" in parity.verdict.failed
    assert {"near.litert-xnnpack", "near.onnxruntime", "task.mean", "task.waveform", "level.40"} <= set(states)
    assert "task.sdr" not in states and "resources.arena" not in states, "not asked of speech, and without a limit"
    assert parity.verdict.state == "failed"
    assert (
        parity.verdict.words
        == f"{parity.verdict.passed} passed, {len(parity.verdict.undecided)} undecided, {len(parity.verdict.failed)} failed"
    )
    assert parity.verdict.passed + len(parity.verdict.undecided) + len(parity.verdict.failed) == len(parity.gates)


def test_every_runtime_ran_the_file_itself(parity: Parity) -> None:
    assert [found.runtime for found in parity.behaviour] == TARGET.runtimes
    for found in parity.behaviour:
        assert found.problem is None and set(found.peaks) == {"zeros", "one sample", "a clip", "full scale"}
        assert found.peaks["full scale"] > 0


def test_a_runtime_without_a_file_fails_its_gates(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    config = read_config(folder / "judge.json")
    kept = [stage for stage in config.stages if stage.name != "onnxruntime"]
    changes = {"onnx": None, "stages": kept, "sets": config.sets[:1], "level_items": 0}
    states = {gate.id: gate for gate in judging.judge(config.model_copy(update=changes), tmp_path).gates}
    assert states["structure.runs"].state == "failed" and "onnxruntime: there is no file" in states["structure.runs"].note
    unjudged = ("near.onnxruntime", "task.waveform", "level.6")
    assert [(states[name].state, states[name].n) for name in unjudged] == [("failed", 0)] * 3


def test_the_theory_is_binned_for_every_stage(parity: Parity, folder: Path) -> None:
    stages = list(dict.fromkeys(found.stage for found in parity.theory))
    assert stages == ["onnxruntime", "litert-ref", "tflm"]
    counts = {stage: sum(found.n for found in parity.theory if found.stage == stage) for stage in stages}
    assert counts == {"onnxruntime": 2 * 5, "litert-ref": 2 * 8, "tflm": 2 * 2}
    assert len(parity.points) == 2 * 8, "of the subject alone"
    page = (folder / "out/parity.html").read_text()
    assert "asymptote: mean SQNR" in page and "bound of Theorem III.1" in page and "SNR of a source against" in page


def test_a_stage_of_few_mixtures_stands_beside_float_on_the_same(parity: Parity, folder: Path) -> None:
    floating, tflm = parity.ladder[0], parity.ladder[3]
    expected = np.mean([score.si_sdr for score in floating.items[:2]])
    assert tflm.summary.n == 2 and tflm.summary.float_si_sdr == pytest.approx(expected)
    assert tflm.summary.float_si_sdr != pytest.approx(floating.summary.si_sdr, abs=1e-6)
    assert tflm.summary.delta == pytest.approx(tflm.summary.si_sdr - tflm.summary.float_si_sdr)
    line = next(line for line in (folder / "out/summary.md").read_text().splitlines() if line.startswith("| test | tflm |"))
    assert f"| {number(tflm.summary.si_sdr, 2)} | {number(tflm.summary.float_si_sdr, 2)} |" in line


def test_idle_exceptions_are_listed_and_are_no_failure(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = {"transposes": {"rows": "back to rows", "*.turned": "of another network"}, "near_exceptions": {"NEVER": "idle"}}
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET.model_copy(update=exceptions))
    config = read_config(folder / "judge.json").model_copy(update={"sets": read_config(folder / "judge.json").sets[:1]})
    parity = judging.judge(config, tmp_path)
    assert {gate.id: gate.state for gate in parity.gates}["structure.transpose"] == "passed"
    found = {excuse.pattern: (family, excuse.count) for family, excuse in exceptions_of(parity.gates)}
    assert found == {"rows": ("structure.transpose", 1), "*.turned": ("structure.transpose", 0), "NEVER": ("near", 0)}
    page = (tmp_path / "parity.html").read_text()
    assert "Exceptions of the target" in page and "that is information, no failure" in page and ">nothing<" in page


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
    content["gates"][0]["state"] = "maybe"
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
    assert sum(link.startswith("data:audio/flac;base64,") for link in page.links) == 9 * 4, (
        "3 worst, and of the 3 medians the one that is none of them"
    )
    assert sum(link.startswith("data:image/png;base64,") for link in page.links) == 2 * 4
    body = [text for text in page.text if not text.startswith((":root", "Parity of"))]
    assert body[0] == headline(parity) and "synthetic speech" in body[0] and "no real device" in body[0]
    assert "NaN" not in page.text and "nan" not in page.text


def test_summary_is_short_and_begins_with_what_was_not_tested(parity: Parity, folder: Path) -> None:
    lines = (folder / "out/summary.md").read_text().splitlines()
    assert lines[0] == headline(parity) and len(lines) <= 40
    assert lines[2].startswith(f"**FAILED: {parity.verdict.words}**, failed: structure.transpose")
    assert any(re.match(r"\| exact.tflm \| 0 \| 0 \| \d+ tensors \| passed", line) for line in lines)


def test_report_is_rendered_again_and_needs_its_audio(parity: Parity, folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["render", "--parity", str(folder / "out/parity.json"), "--out", str(tmp_path)])
    assert isinstance(result.exception, UserError) and f"{parity.verdict.words}: structure.transpose" in str(result.exception)
    assert (tmp_path / "parity.html").read_text() == (folder / "out/parity.html").read_text()
    with pytest.raises(UserError, match="audio"):
        render(parity, tmp_path)


def test_second_judgement_reads_the_cache(parity: Parity, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    monkeypatch.setattr("validation.stages.separate_many", lambda *args, **kwargs: pytest.fail("a stage ran again"))
    config = read_config(folder / "judge.json").model_copy(update={"level_items": 0, "refused": {"onnx2tf int8": "no LSTM"}})
    again = judging.judge(config, folder / "again")
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
def test_onnx_target_and_baseline(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gates: dict[str, Any] | None) -> None:
    target = TargetSpec(name="tiny-onnx", format="onnx", converter="none", runtimes=["onnxruntime"], gates=gates)
    monkeypatch.setattr(judging, "load_target", lambda name: target)
    config = read_config(folder / "judge.json")
    kept = [stage for stage in config.stages if stage.name in ("float", "onnxruntime")]
    changes = {"tflite": None, "subject": "onnxruntime", "stages": kept, "sets": config.sets[:1], "audio_items": 1, "parameters": None}
    parity = judging.judge(config.model_copy(update=changes), tmp_path / "out")
    assert parity.structure.format == "onnx" and parity.layers.free == []
    assert "no sweep over the SNR" in parity.not_tested
    line = (tmp_path / "out/summary.md").read_text().splitlines()[2]
    if gates is None:
        assert parity.verdict.state == "not judged" and parity.gates == [] and line.startswith("**not judged")
    else:
        assert parity.verdict.state == "undecided" and parity.verdict.failed == []
        assert line.startswith(f"**NOT ALL DECIDED: {parity.verdict.words}**, undecided: ")
        assert "PASSED" not in line and '"banner passed"' not in (tmp_path / "out/parity.html").read_text()
        assert not any(gate.id.startswith(("exact", "near", "structure.memory", "task.waveform")) for gate in parity.gates)


def test_wrong_gates_of_a_target_are_refused_before_anything_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET.model_copy(update={"gates": {"nearly": {}}}))
    with pytest.raises(UserError, match="unknown gate 'nearly'"):
        judging.judge(read_config(folder / "judge.json"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_target_must_fit_the_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "load_target", lambda name: TARGET)
    config = read_config(folder / "judge.json").model_copy(update={"tflite": None})
    with pytest.raises(UserError, match="must name it as 'tflite'"):
        judging.judge(config, tmp_path)


def test_the_first_screen_answers_what_is_asked_first(parity: Parity, folder: Path) -> None:
    page = (folder / "out/parity.html").read_text()
    assert "@import" not in page and "url(http" not in page and "<script src" not in page
    assert 'name="viewport"' in page and "prefers-color-scheme: dark" in page and "@media print" in page
    first = page[: page.index("<nav>")]
    assert all(question in first for question in ("Not tested:", "Does it fit?", "Is it good?", "Is it fast?", "How is it made again?"))
    assert len(parity.tiles) == 6 and all(html.escape(tile.value) in first for tile in parity.tiles if tile.label != "gates")
    assert parity.reproduce in first and parity.verdict.words in first


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_has_nothing_to_complain_of(parity: Parity, folder: Path, tmp_path: Path) -> None:
    page = folder / "out/parity.html"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--v=0"]
    done = subprocess.run(
        ["chromium", *options, f"--screenshot={tmp_path / 'page.png'}", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "page.png").stat().st_size > 1000
