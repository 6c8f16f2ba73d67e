"""Checkpoints that load, and those that are refused with the reason."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from export_specs.foundation.errors import UserError
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import save_network
from pipeline.export.float_onnx import export_float
from pipeline.networks.build import build_network
from tests.networks.specs import asteroid_network, small_spec

SPEC = small_spec()


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(3)
    return build_network(SPEC)


def _loads(path: Path, trained: nn.Module) -> None:
    network = build_network(SPEC)
    load_network(network, path, SPEC)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, trained.state_dict()[key], rtol=0, atol=0)


def _refusal(path: Path) -> str:
    network = build_network(SPEC)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as refusal:
        load_network(network, path, SPEC)
    assert str(path) in str(refusal.value)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), "a refused checkpoint leaves the network alone"
    return str(refusal.value)


def test_safetensors(trained: nn.Module, tmp_path: Path) -> None:
    save_network(trained, tmp_path / "weights.safetensors", {"model": "small"})
    _loads(tmp_path / "weights.safetensors", trained)


def test_the_recipe_of_a_quantized_network_is_no_norm_of_the_spec(trained: nn.Module, tmp_path: Path) -> None:
    save_network(trained, tmp_path / "weights.safetensors", {"norm": "scalar-gain"})
    _loads(tmp_path / "weights.safetensors", trained)
    save_network(trained, tmp_path / "weights.safetensors", {"norm": "frozen"})
    assert "norm 'frozen'" in _refusal(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("prefix", ["", "model.", "network.", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_torch_file(prefix: str, wrapped: bool, trained: nn.Module, tmp_path: Path) -> None:
    state = {f"{prefix}{key}": value for key, value in trained.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "weights.ckpt")
    _loads(tmp_path / "weights.ckpt", trained)


def test_torch_file_of_before_zip(trained: nn.Module, tmp_path: Path) -> None:
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    _loads(tmp_path / "old.pth", trained)


def test_package_of_asteroid(tmp_path: Path) -> None:
    reference = asteroid_network(SPEC)
    package = reference.serialize()
    package |= {"dataset": "Libri2Mix", "task": "sep_clean", "licenses": {"text": "CC-BY-SA 3.0"}, "final_results": {"si_sdr": 14.7}}
    torch.save(package, tmp_path / "pytorch_model.bin")
    network = build_network(SPEC)
    load_network(network, tmp_path / "pytorch_model.bin", SPEC)
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in reference.state_dict().items())


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"mask_act": "sigmoid"}, "mask_act 'sigmoid' (model_args.mask_act), the spec's mask_act 'relu'"),
        ({"encoder_act": "relu"}, "encoder_activation 'relu' (model_args.encoder_activation), the spec's encoder_act 'linear'"),
        ({"stride": 2}, "stride 2 (model_args.stride), the spec's stride 4"),
        ({"causal": True}, "norm_type 'cLN' (model_args.norm_type), the spec's norm 'gLN'"),
        ({"n_blocks": 2, "n_repeats": 3}, "n_repeats 3 (model_args.n_repeats), the spec's n_repeats 2"),
    ],
)
def test_package_of_another_network_with_the_same_weights(theirs: dict[str, Any], message: str, tmp_path: Path) -> None:
    torch.save(asteroid_network(small_spec(**theirs)).serialize(), tmp_path / "other.pth")
    assert message in _refusal(tmp_path / "other.pth")


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in _refusal(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_truncated_file(suffix: str, kept: float, trained: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(trained.state_dict(), path)
    else:
        save_network(trained, path, {})
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    assert "whole" in _refusal(path) or "no checkpoint" in _refusal(path)


def test_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "song.pth").write_bytes(b"RIFF\x24\x08\x00\x00WAVEfmt " * 40)
    _refusal(tmp_path / "song.pth")
    (tmp_path / "text.onnx").write_text("not a network")
    assert "no checkpoint: it is text ('not a network')" in _refusal(tmp_path / "text.onnx")


def test_faults_are_named(trained: nn.Module, tmp_path: Path) -> None:
    state = dict(trained.state_dict())
    del state["masker.bottleneck.1.bias"]
    state["masker.extra"] = torch.zeros(1)
    state["encoder.filterbank._filters"] = torch.zeros(13, 1, 8)
    state["masker.TCN.1.res_conv.weight"] = torch.full((6, 10, 1), float("nan"))
    save_file(state, tmp_path / "faulty.safetensors")
    message = _refusal(tmp_path / "faulty.safetensors")
    assert "missing: masker.bottleneck.1.bias" in message
    assert "unknown: masker.extra" in message
    assert "encoder.filterbank._filters is [13, 1, 8], not [12, 1, 8]" in message
    assert "masker.TCN.1.res_conv.weight holds NaN" in message


def test_integers_are_no_weights(trained: nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    save_file({**state, "masker.bottleneck.1.weight": state["masker.bottleneck.1.weight"].to(torch.int32)}, tmp_path / "codes.safetensors")
    assert "masker.bottleneck.1.weight is int32, not float32" in _refusal(tmp_path / "codes.safetensors")


def test_onnx_file_of_our_own_is_refused(trained: nn.Module, tmp_path: Path) -> None:
    """Its names are those of the graph; the weights that it was made of lie in a file of their own."""
    save_network(trained, tmp_path / "weights.safetensors", {})
    export_float(SPEC, tmp_path / "weights.safetensors", tmp_path / "float.onnx")
    message = _refusal(tmp_path / "float.onnx")
    assert "missing: encoder.filterbank._filters" in message and "such as waveform.shape, encoder.weight" in message


def test_another_size_is_refused_in_one_line(tmp_path: Path) -> None:
    save_network(build_network(small_spec(hid_chan=16, n_blocks=5)), tmp_path / "large.safetensors", {})
    message = _refusal(tmp_path / "large.safetensors")
    assert re.search(r"and \d+ more", message) and len(message) < 1000


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_in_a_pickle_is_not_run(form: str, trained: nn.Module, tmp_path: Path) -> None:
    content = {"state_dict": trained.state_dict(), "payload": _Payload(tmp_path / "ran")}
    if form == "torch":
        torch.save(content, tmp_path / "hostile.pth")
    else:
        (tmp_path / "hostile.pth").write_bytes(pickle.dumps(content))
    message = _refusal(tmp_path / "hostile.pth")
    assert ("could run code" if form == "torch" else "did torch.save write it") in message
    assert not (tmp_path / "ran").exists()


def test_keys_that_are_not_printable_are_told_in_one_line(tmp_path: Path) -> None:
    """A damaged name may hold a line's end, or what commands a terminal."""
    state = build_network(SPEC).state_dict()
    state["masker.TCN\n.\x1b[2J.\u00e9"] = state.pop(next(iter(state)))
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UserError) as refusal:
        load_network(build_network(SPEC), tmp_path / "a.pt", SPEC)
    assert "masker.TCN\\n.\\x1b[2J.\u00e9" in str(refusal.value) and str(refusal.value).isprintable()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """A checkpoint in each kind of file."""
    network, folder = build_network(SPEC), tmp_path_factory.mktemp("files")
    torch.save({"state_dict": network.state_dict(), "args": {"lr": 1}}, folder / "a.pt")
    torch.save(network.state_dict(), folder / "b.pth", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), folder / "c.safetensors")
    return [(path.suffix, path.read_bytes()) for path in sorted(folder.iterdir())]


@given(st.integers(0, 2), st.booleans(), st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbled_files_load_or_are_refused_in_a_sentence(
    files: list[tuple[str, bytes]],
    tmp_path: Path,
    which: int,
    cut: bool,
    kept: float,
    changes: list[tuple[float, int]],
    data: st.DataObject,
) -> None:
    suffix, whole = files[which]
    content = bytearray(whole[: int(kept * len(whole))] if cut else whole)
    for place, value in changes:
        if content:
            content[int(place * min(len(content) - 1, data.draw(st.sampled_from([100, 4000, len(whole)]))))] = value
    path = tmp_path / f"garbled{data.draw(st.sampled_from([suffix, '.ckpt', '.onnx', '.safetensors', '']))}"
    path.write_bytes(content)
    refusal = ""
    try:
        load_network(build_network(SPEC), path, SPEC)
    except UserError as error:
        refusal = str(error)
    assert not refusal or (str(path) in refusal and "\n" not in refusal)
