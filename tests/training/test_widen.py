"""A widened Conv-TasNet computes what the narrow one does, and no two of its channels stay copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.networks.build import build_network
from pipeline.training.widen import app, widened
from tests.tiny import tiny_network, tiny_spec

WIDTHS = ("n_filters", "bn_chan", "hid_chan", "skip_chan")


def spec_file(folder: Path, name: str, **network: int) -> Path:
    settings = tiny_spec().model_dump(mode="json", exclude_defaults=True)
    settings["network"] |= network
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**settings, "name": name}), encoding="utf-8")
    return path


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_wide_network_computes_what_the_narrow_one_does(times: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    narrow = spec_file(tmp_path, "narrow")
    net = load_model(str(narrow)).network
    wide = spec_file(tmp_path, "wide", **{width: times * getattr(net, width) for width in WIDTHS})
    small = tiny_network(tiny_spec())
    save_network(small, tmp_path / "small.safetensors", facts_of(load_model(str(narrow))))
    arguments = ["--weights", tmp_path / "small.safetensors", "--out", tmp_path / "large.safetensors", "--narrow", narrow, "--model", wide]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    wide_spec = load_model(str(wide))
    large = build_network(wide_spec)
    assert load_network(large, tmp_path / "large.safetensors", wide_spec) == []
    mixture = 0.1 * torch.randn(2, tiny_spec().segment_samples)  # (B, T)
    with torch.no_grad():
        expected, found = small(mixture), large(mixture)
    assert torch.linalg.norm(found - expected) < 1e-5 * torch.linalg.norm(expected)
    rows = large.state_dict()["masker.TCN.0.skip_conv.weight"][:, :, 0]
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_copies_share_the_weight_they_stand_for() -> None:
    narrow = np.array([[1.0, -2.0]], np.float32)
    wide = widened(narrow, (2, 6), 1, np.random.default_rng(0))
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide.reshape(2, 2, 3).sum(2), [[1.0, -2.0]] * 2, rtol=1e-6)
    assert len(np.unique(wide)) == 12
    np.testing.assert_array_equal(widened(narrow, (2, 2), None, np.random.default_rng(0)), [[1.0, -2.0]] * 2)


@pytest.mark.parametrize(
    ("narrow", "change", "message"),
    [
        ("dptnet", {}, "only Conv-TasNet is widened: dptnet is dptnet"),
        ("", {"n_repeats": 3}, "widening changes channels, not blocks"),
        ("", {"hid_chan": 9}, "9 channels are no multiple of"),
    ],
)
def test_what_cannot_be_widened_is_refused(narrow: str, change: dict[str, int], message: str, tmp_path: Path) -> None:
    narrow = narrow or str(spec_file(tmp_path, "narrow"))
    weights = tmp_path / "w.safetensors"
    save_network(tiny_network(tiny_spec()), weights, facts_of(tiny_spec()))
    model = str(spec_file(tmp_path, "wide", **change))
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, ["--weights", str(weights), "--out", "o", "--narrow", narrow, "--model", model], catch_exceptions=False)
    assert not Path("o").exists()
