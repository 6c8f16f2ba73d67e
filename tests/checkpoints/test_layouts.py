"""Checkpoints of other implementations: the network computes what theirs does, or the refusal shows names of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.networks.build import build_network
from tests.checkpoints.published_layouts import KaituoxuConvTasNet, TorchaudioConvTasNet
from tests.networks.specs import small_spec

MONO = {"audio_channels": 1, "n_filters": 12, "kernel_size": 20, "stride": 10, "bn_chan": 10, "hid_chan": 14, "n_blocks": 3, "n_repeats": 2}


def kaituoxu_spec(n_src: int = 2, **network: Any) -> ModelSpec:
    fields = load_model("convtasnet").model_dump()
    changes = {"name": "kaituoxu", "architecture": "convtasnet_music", "segment_samples": 1000}
    spec = ModelSpec.model_validate({**fields, **changes, "network": {**MONO, **network}})
    return spec.model_copy(update={"n_src": n_src})  # 3: of networks, not of data sets


def away_from_defaults(network: nn.Module) -> None:
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() == 1 or parameter.shape[0] == 1:
            nn.init.uniform_(parameter, 0.1, 0.9)


@pytest.mark.parametrize("mask_act", ["relu", "sigmoid"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.model."])
def test_torchaudio(mask_act: str, prefix: str, tmp_path: Path) -> None:
    spec = small_spec(skip_chan=6, mask_act=mask_act)
    reference = TorchaudioConvTasNet(spec.network, spec.n_src).eval()  # type: ignore[arg-type]
    away_from_defaults(reference)
    torch.save({f"{prefix}{key}": value for key, value in reference.state_dict().items()}, tmp_path / "conv_tasnet.pt")
    network = build_network(spec).eval()
    assert load_network(network, tmp_path / "conv_tasnet.pt", spec) == []
    mixture, half = torch.randn(2, 400), spec.network.kernel_size // 2
    with torch.no_grad():
        expected, got = reference(mixture[:, None]), network(functional.pad(mixture, (half, half)))[..., half:-half]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_torchaudio_has_one_stride_and_no_causal_form(tmp_path: Path) -> None:
    reference = TorchaudioConvTasNet(small_spec(skip_chan=6).network, 2)  # type: ignore[arg-type]
    torch.save(reference.state_dict(), tmp_path / "x.pt")
    for changes, fault in (({"stride": 2}, "stride 4 (as torchaudio has it), the spec's stride 2"), ({"causal": True}, "causal False")):
        spec = small_spec(skip_chan=6, **changes)
        with pytest.raises(UserError, match=fault.replace("(", r"\(").replace(")", r"\)")):
            load_network(build_network(spec), tmp_path / "x.pt", spec)


@pytest.mark.parametrize("n_src", [2, 3])
@pytest.mark.parametrize("form", ["package", "state", "module"])
def test_kaituoxu(n_src: int, form: str, tmp_path: Path) -> None:
    spec = kaituoxu_spec(n_src)
    reference = KaituoxuConvTasNet(spec.network, n_src).eval()  # type: ignore[arg-type]
    away_from_defaults(reference)
    forms = {"package": reference.package(spec.network), "state": reference.state_dict(), "module": reference}  # type: ignore[arg-type]
    torch.save(forms[form], tmp_path / "final.pth.tar")
    network = build_network(spec).eval()
    load_network(network, tmp_path / "final.pth.tar", spec)
    mixture = torch.randn(2, 20 + 90 * 10)
    with torch.no_grad():
        expected, got = reference(mixture), network(mixture)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"causal": 1}, "causal 1 (causal), the spec's causal False"),
        ({"norm_type": "BN"}, "norm_type 'BN' (norm_type), the spec's norm 'gLN'"),
        ({"mask_nonlinear": "softmax"}, "mask_nonlinear 'softmax' (mask_nonlinear), the spec's mask 'relu'"),
        ({"X": 2, "R": 3}, "X 2 (X), the spec's n_blocks 3"),
        ({"C": 3}, "C 3 (C), the spec's n_src 2"),
    ],
)
def test_what_a_package_of_kaituoxu_tells_counts(changes: dict[str, object], fault: str, tmp_path: Path) -> None:
    spec = kaituoxu_spec()
    torch.save(KaituoxuConvTasNet(spec.network, 2).package(spec.network, **changes), tmp_path / "x.pth")  # type: ignore[arg-type]
    with pytest.raises(UserError) as refusal:
        load_network(build_network(spec), tmp_path / "x.pth", spec)
    assert fault in str(refusal.value)


def test_a_refusal_shows_names_of_both_sides(tmp_path: Path) -> None:
    """A package of svoice: another network, in a dictionary within a dictionary."""
    state = {"encoder.conv.weight": torch.zeros(8, 1, 8), "separator.rnn_model.rows_grnn.0.rnn.weight_ih_l0": torch.zeros(4, 4)}
    torch.save({"model": {"args": (), "kwargs": {"N": 8}, "state": state}, "best_state": state, "history": []}, tmp_path / "svoice.th")
    with pytest.raises(UserError) as refusal:
        load_network(build_network(small_spec()), tmp_path / "svoice.th", small_spec())
    message = str(refusal.value)
    assert "The file holds 4 tensors (such as model/state/encoder.conv.weight, model/state/separator.rnn_model" in message
    assert "the network 93 (such as encoder.filterbank._filters, masker.bottleneck.0.gamma" in message
    assert "missing: encoder.filterbank._filters" in message
