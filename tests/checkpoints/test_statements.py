"""What a file tells of its network is compared with the spec, whatever the format; each contradiction names both values."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from export_specs.foundation.errors import UserError
from export_specs.load import load_model, model_names
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.networks.build import build_network
from pipeline.networks.formats import checkpoint_format
from tests.networks.specs import small_spec
from tests.networks.test_other_networks import SMALL_HTDEMUCS, small

SPEC = small_spec()


def refusal(path: Path, spec: ModelSpec) -> str:
    with pytest.raises(UserError) as refused:
        load_network(build_network(spec), path, spec)
    return str(refused.value)


def changed(spec: ModelSpec, **network: Any) -> ModelSpec:
    fields = spec.model_dump()
    return ModelSpec.model_validate({**fields, "network": {**fields["network"], **network}})


@pytest.mark.parametrize("model", [name for name in model_names() if "paper" not in name])
def test_our_own_weights_tell_their_network(model: str, tmp_path: Path) -> None:
    spec = load_model(model)
    network = build_network(spec)
    save_network(network, tmp_path / "x.safetensors", facts_of(spec))
    assert load_network(network, tmp_path / "x.safetensors", spec) == []
    other = spec.model_copy(update={"sample_rate": 2 * spec.sample_rate})
    assert f"sample_rate '{spec.sample_rate}' (sample_rate), the spec's sample_rate {other.sample_rate}" in refusal(
        tmp_path / "x.safetensors", other
    )


def test_our_own_weights_with_a_setting_that_no_shape_tells(tmp_path: Path) -> None:
    for spec, name, value in (
        (SPEC, "stride", 2),
        (small("dptnet"), "n_heads", 4),
        (small("sepformer"), "chunk_size", 12),
        (small("convtasnet-music"), "stride", 5),
    ):
        save_network(build_network(spec), tmp_path / "x.safetensors", facts_of(spec))
        ours = getattr(spec.network, name)
        assert f"{name} '{ours}' ({name}), the spec's {name} {value}" in refusal(tmp_path / "x.safetensors", changed(spec, **{name: value}))


@pytest.mark.parametrize("place", ["hyper_parameters", "args", "config.model", "namespace"])
def test_hyper_parameters_of_lightning_and_of_others(place: str, tmp_path: Path) -> None:
    told: Any = {"n_src": 2, "conv": {"stride": 8}, "lr": 1e-3, "sample_rate": 8000, "optimizer": {"name": "adam"}}
    if place == "namespace":
        told["conv"] = argparse.Namespace(**told["conv"])
        told = argparse.Namespace(**told)
    content: Any = {"state_dict": {f"model.{key}": value for key, value in build_network(SPEC).state_dict().items()}}
    for part in reversed(place.split(".")):
        told = {part: told}
    torch.save({**content, **told}, tmp_path / "x.ckpt")
    assert f"stride 8 ({place}.conv.stride), the spec's stride 4" in refusal(tmp_path / "x.ckpt", SPEC)


def test_what_agrees_in_another_spelling_is_no_contradiction(tmp_path: Path) -> None:
    told = {
        "n_src": "2",
        "causal": 0,
        "mask_act": "ReLU",
        "encoder_activation": None,
        "norm_type": "gln",
        "sample_rate": 8000.0,
        "stride": 4,
    }
    of_others = {"teacher": {"n_blocks": 8, "stride": 2}, "data": {"fs": 8000, "num_speakers": 2}}  # the network's own stride is told too
    torch.save(
        {"state_dict": build_network(SPEC).state_dict(), "hyper_parameters": {**told, **of_others, "n_blocks": 3}}, tmp_path / "x.ckpt"
    )
    load_network(build_network(SPEC), tmp_path / "x.ckpt", SPEC)


def test_the_sample_rate_of_a_package_of_asteroid(tmp_path: Path) -> None:
    args = {"fb_name": "FreeFB", "sample_rate": 16000, "stride": 4}
    torch.save({"model_name": "ConvTasNet", "model_args": args, "state_dict": build_network(SPEC).state_dict()}, tmp_path / "x.pth")
    assert "sample_rate 16000 (model_args.sample_rate), the spec's sample_rate 8000" in refusal(tmp_path / "x.pth", SPEC)
    args |= {"sample_rate": 8000, "fb_name": "STFTFB"}
    torch.save({"model_name": "ConvTasNet", "model_args": args, "state_dict": build_network(SPEC).state_dict()}, tmp_path / "x.pth")
    assert "fb_name 'STFTFB'" in refusal(tmp_path / "x.pth", SPEC)


HYPERPARAMS = """
seed: 1234
__set_seed: !apply:torch.manual_seed [!ref <seed>]
data_folder: !PLACEHOLDER
output_folder: !ref results/<seed>
num_spks: 2
sample_rate: {sample_rate}
N_encoder_out: 12
kernel_size: 8
kernel_stride: {stride}
Encoder: !new:speechbrain.lobes.models.dual_path.Encoder
    kernel_size: !ref <kernel_size>
    out_channels: !ref <N_encoder_out>
SBtfintra: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
    num_layers: 2
    d_model: !ref <N_encoder_out>
    nhead: 3
    d_ffn: 16
    norm_before: {norm_before}
SBtfinter: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock
    num_layers: 2
    d_model: !ref <N_encoder_out>
    nhead: {nhead}
    d_ffn: 16
MaskNet: !new:speechbrain.lobes.models.dual_path.Dual_Path_Model
    num_spks: !ref <num_spks>
    num_layers: 2
    K: {chunk}
    intra_model: !ref <SBtfintra>
    norm: ln
    skip_around_intra: True
Decoder: !new:speechbrain.lobes.models.dual_path.Decoder
    stride: !ref <kernel_stride>
    bias: False
run: !apply:os.system ["touch ran"]
modules:
    encoder: !ref <Encoder>
"""
TOLD: dict[str, object] = {"sample_rate": 8000, "stride": 4, "nhead": 3, "chunk": 10, "norm_before": True}


def speechbrain_folder(folder: Path, **told: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    network = build_network(small("sepformer"))
    for part in ("encoder", "masknet", "decoder"):
        torch.save(network.get_submodule(part).state_dict(), folder / f"{part}.ckpt")
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS.format(**{**TOLD, **told}))
    return folder


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"sample_rate": 16000}, "sample_rate 16000 (sample_rate), the spec's sample_rate 8000"),
        ({"stride": 2}, "stride 2 (Decoder.stride), the spec's stride 4"),
        ({"nhead": 4}, "nhead 4 (SBtfinter.nhead), the spec's n_heads 3"),
        ({"chunk": 250}, "K 250 (MaskNet.K), the spec's chunk_size 10"),
        ({"norm_before": False}, "norm_before False (SBtfintra.norm_before), the spec's norm before each layer True"),
    ],
)
def test_hyperparameters_of_speechbrain(told: dict[str, object], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = small("sepformer")
    load_network(build_network(spec), speechbrain_folder(tmp_path / "right"), spec)
    assert fault in refusal(speechbrain_folder(tmp_path / "other", **told), spec)
    assert not (tmp_path / "ran").exists(), "what the file wants to be done is not done"


def test_hyperparameters_of_a_training_and_broken_ones(tmp_path: Path) -> None:
    spec = small("sepformer")
    folder = speechbrain_folder(tmp_path / "1234" / "save" / "CKPT+2026-01-01+12-00-00+00", chunk=250)
    (folder / "hyperparams.yaml").rename(tmp_path / "1234" / "hyperparams.yaml")
    assert "K 250" in refusal(folder, spec)
    (folder / "hyperparams.yaml").write_text("a: [1, 2")
    assert "hyperparams.yaml cannot be read" in refusal(folder, spec)


class HTDemucs(nn.Module):
    """Only its name counts: a package names the class."""


def demucs_package(path: Path, spec: ModelSpec, **changes: object) -> Path:
    settings = {**spec.network.model_dump(), "sources": list(spec.source_names), "samplerate": 44100, "dconv_mode": 3, **changes}
    kwargs = {name: value for name, value in settings.items() if value is not None}
    state = {key: value.half() for key, value in build_network(spec).state_dict().items()}
    torch.save({"klass": HTDemucs, "args": (), "kwargs": kwargs, "state": state, "training_args": {"lr": 1}}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"sources": ["drums", "bass", "vocals", "other"]},
            "['drums', 'bass', 'vocals', 'other'] (kwargs.sources), the spec's sources ['drums'",
        ),
        ({"samplerate": 48000}, "samplerate 48000 (kwargs.samplerate), the spec's sample_rate 44100"),
        ({"t_heads": 4}, "t_heads 4 (kwargs.t_heads), the spec's t_heads 2"),
        ({"t_heads": None}, "t_heads 8 (HTDemucs's default), the spec's t_heads 2"),
        ({"cac": False}, "cac False (kwargs.cac), the spec's cac True"),
        ({"t_norm_first": False}, "t_norm_first False"),
    ],
)
def test_packages_of_demucs(changes: dict[str, object], fault: str, tmp_path: Path) -> None:
    fields = load_model("htdemucs").model_dump()
    spec = ModelSpec.model_validate({**fields, "network": SMALL_HTDEMUCS, "segment_samples": 5120})
    load_network(build_network(spec), demucs_package(tmp_path / "right.th", spec), spec)
    assert fault in refusal(demucs_package(tmp_path / "other.th", spec, **changes), spec)


def test_metadata_of_onnx(tmp_path: Path) -> None:
    torch.onnx.export(
        build_network(SPEC).eval(), (torch.randn(1, SPEC.segment_samples),), str(tmp_path / "x.onnx"), dynamo=False, opset_version=15
    )
    model = onnx.load(tmp_path / "x.onnx")
    onnx.helper.set_model_props(model, {"sample_rate": "16000", "author": "somebody"})
    onnx.save(model, tmp_path / "x.onnx")
    assert "sample_rate '16000' (sample_rate), the spec's sample_rate 8000" in refusal(tmp_path / "x.onnx", SPEC)


@pytest.mark.parametrize("model", ["convtasnet", "convtasnet-music", "dptnet", "sepformer", "htdemucs"])
def test_every_setting_of_a_spec_can_be_told_by_its_own_name(model: str) -> None:
    spec = load_model(model)
    names = {name for setting in checkpoint_format(spec.architecture).settings(spec) for name in setting.names}
    assert set(facts_of(spec)) - {"model"} <= names
