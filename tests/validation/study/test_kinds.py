"""Studies of networks whose errors are known: noise of a given power."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export_specs.foundation.errors import UserError
from export_specs.study import Study
from tests.validation.synthetic import make_item, noisy, write_set
from validation.study.__main__ import main
from validation.study.request import read_request
from validation.study.results import groups_of
from validation.study.scores import score

FLOAT_DB = 20.0
SQNR = {"good": 40.0, "bad": 20.0}  # against the float network
ARMS = {"good": {}, "bad": {"variant": "vanilla"}}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of a float network and of two arms with two seeds each, 20 dB from the sources and 40 or 20 dB from the float network."""
    base = tmp_path_factory.mktemp("study")
    sets = {
        "test": [make_item(k, f"t{k}") for k in range(6)],
        "sweep": [make_item(20 + k % 2, f"s{k}", snr_db=snr) for k, snr in enumerate((-10.0, -10.0, 0.0, 0.0, 10.0, 10.0))],
    }
    runs = [{"arm": arm, "seed": seed, "outputs": str(base / f"{arm}{seed}-{{set}}.npz")} for arm in ARMS for seed in range(2)]
    for name, items in sets.items():
        write_set(base / name, items, name)
        floats = {item.id: noisy(item.sources, FLOAT_DB, 1000 + k) for k, item in enumerate(items)}
        np.savez(base / f"float-{name}.npz", **floats)
        for run in runs:
            made = {
                key: noisy(32768 * found, SQNR[run["arm"]], 100 + 50 * run["seed"] + k) for k, (key, found) in enumerate(floats.items())
            }
            np.savez(run["outputs"].replace("{set}", name), **made)
    size = {"size_float_mb": 4.0, "size_int8_mb": 1.0, "size_fqss_mb": 1.1, "bops_paper": 2e9, "bops_fqss_paper": 3e9}
    budget = {"steps": 5, "batch_size": 4, "learning_rate": 1e-4, "segment_seconds": 3}
    places = {name: str(base / name) for name in sets}
    return {"model": "m", "data": "d", "budget": budget, "sets": places, "reference": str(base / "float-{set}.npz"), "runs": runs,
            "size": size, "command": "make study NAME=x"}  # fmt: skip


def judged(outputs: dict[str, Any], folder: Path, kind: str, **changes: Any) -> tuple[dict[str, Any], str]:
    """The figures and the page of a study of a kind; its plot is well formed."""
    fields = {
        "name": "x",
        "title": "X",
        "description": "?",
        "kind": kind,
        "steps": 5,
        "seeds": 2,
        "against": "bad",
        "arms": ARMS,
        **changes,
    }
    (folder / "study.json").write_text(json.dumps({**outputs, "study": Study.model_validate(fields | changes).model_dump(mode="json")}))
    main(folder / "study.json", folder / "pages")
    ElementTree.parse(folder / "pages" / "x-m.svg")
    return json.loads((folder / "pages" / "x-m.json").read_text()), (folder / "pages" / "x-m.md").read_text()


def test_losses_are_those_of_the_noise(outputs: dict[str, Any], tmp_path: Path) -> None:
    told, page = judged(outputs, tmp_path, "arms")
    groups = {group["label"]: group for group in told["groups"]}
    assert list(groups)[:5] == ["all", "test", "-10 dB", "+0 dB", "+10 dB"] and len(groups) > 5
    assert [groups[label]["n"] for label in ("all", "test", "-10 dB")] == [24, 12, 4]
    good, bad = groups["all"]["arms"]
    assert groups["all"]["sdr"] == pytest.approx(FLOAT_DB, abs=0.2)
    assert bad["loss"]["mean"] == pytest.approx(10 * np.log10(2), abs=0.15)  # noise as strong as the float network's own
    assert good["loss"]["mean"] == pytest.approx(10 * np.log10(1.01), abs=0.1)
    assert (good["sqnr"], bad["sqnr"]) == (pytest.approx(40, abs=0.2), pytest.approx(20, abs=0.2))
    assert good["gain"]["mean"] == pytest.approx(bad["loss"]["mean"] - good["loss"]["mean"])
    assert good["gain"]["interval"]["low"] > 2.5 and bad["gain"] is None
    assert f"| good | **{good['gain']['mean']:.2f} [" in page and "Budget of every arm: 5 steps of 4 × 3 s" in page


def test_mixtures_of_the_same_voices_are_drawn_together(outputs: dict[str, Any], tmp_path: Path) -> None:
    judged(outputs, tmp_path, "arms")
    scores = score(read_request(tmp_path / "study.json"))
    sweep = [estimate.parts for estimate in scores.estimates if estimate.set == "sweep"]
    assert sweep == ["sweep/0", "sweep/0", "sweep/1", "sweep/1"] * 3
    assert len({estimate.parts for estimate in scores.estimates if estimate.set == "test"}) == 6
    assert sum(group.n for group in groups_of(scores, "") if group.kind == "sdr") == 24


def test_no_mixture_is_above_its_bound(outputs: dict[str, Any], tmp_path: Path) -> None:
    told, page = judged(outputs, tmp_path, "bound", against="")
    rows = {(row["arm"], row["label"]): row for row in told["rows"]}
    row = rows["bad", "SNR +0 dB"]
    assert row["n"] == 2 * 2 and not any(row["above"] for row in told["rows"])
    assert row["bound"] > row["sdr_quantized"]
    assert row["uncorrelated"] == pytest.approx(row["sdr_quantized"], abs=0.2)
    assert "α_max" in page


def test_the_paper_s_table(outputs: dict[str, Any], tmp_path: Path) -> None:
    told, page = judged(outputs, tmp_path, "table", against="")
    rows = {row["network"]: row for row in told["rows"]}
    assert [rows[name]["size_mb"] for name in ("float", "bad", "good")] == [4.0, 1.0, 1.1]
    assert [rows[name]["tbops"] for name in ("float", "bad", "good")] == [16 * 2e-3, 2e-3, 3e-3]
    assert rows["float"]["si_sdr"] == pytest.approx(FLOAT_DB, abs=0.2)
    assert rows["float"]["sdr"] > rows["good"]["sdr"] > rows["bad"]["sdr"] > rows["bad"]["si_sdr"]  # the filter allows more
    assert list(rows["good"]["by_snr"]) == ["-10 dB", "+0 dB", "+10 dB"]
    assert 0.5 < rows["bad"]["stoi"] < rows["float"]["stoi"] <= 1
    assert rows["float"]["loss"] is None and rows["bad"]["loss"]["mean"] == pytest.approx(10 * np.log10(2), abs=0.15)
    assert "| float | 4.00 | 0.0320 |" in page


def test_the_histogram_counts_every_source(outputs: dict[str, Any], tmp_path: Path) -> None:
    changes = {"arms": {}, "against": "", "steps": 0}
    told, page = judged({**outputs, "runs": [], "reference": None}, tmp_path, "snr-histogram", **changes)
    expected = []
    for k in range(6):
        first, second = (float(np.sum(part.astype(np.float64) ** 2)) for part in make_item(k).sources)
        expected += [10 * np.log10(first / second), -10 * np.log10(first / second)]
    for count in told["counts"]:
        assert count["sources"] == sum(count["from_db"] <= snr < count["to_db"] for snr in expected)
    assert sum(count["sources"] for count in told["counts"]) == 12
    assert "12 sources" in page


def test_a_request_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no request of a study"):
        read_request(tmp_path / "lost.json")
