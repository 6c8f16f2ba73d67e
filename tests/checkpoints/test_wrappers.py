"""The network's tensors are found wherever they stand: behind prefixes, in dictionaries, beside others, and twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from export_specs.foundation.errors import UserError
from pipeline.checkpoints.loading import load_network
from pipeline.networks.build import build_network
from tests.networks.specs import small_spec

SPEC = small_spec()


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(3)
    return build_network(SPEC)


def loaded(path: Path, trained: nn.Module) -> list[str]:
    """The notes of a checkpoint that holds exactly the trained network."""
    network = build_network(SPEC)
    notes = load_network(network, path, SPEC)
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in network.state_dict().items())
    return notes


def prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value.clone() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod.", "model.network.module._orig_mod.", "student.net.x."])
@pytest.mark.parametrize(
    "places", [(), ("state_dict",), ("model_state_dict",), ("checkpoint", "model", "state"), ("best_state",), ("weights", "0")]
)
def test_behind_any_prefix_and_in_any_dictionary(prefix: str, places: tuple[str, ...], trained: nn.Module, tmp_path: Path) -> None:
    content: dict[str, Any] = prefixed(prefix, trained)
    for place in reversed(places):
        content = {"epoch": 3, place: content, "optimizer": {"param_groups": [{"lr": 0.1}]}}
    torch.save(content, tmp_path / "weights.ckpt")
    assert loaded(tmp_path / "weights.ckpt", trained) == []


def test_in_a_list_and_in_safetensors(trained: nn.Module, tmp_path: Path) -> None:
    torch.save([{"step": 1}, prefixed("", trained)], tmp_path / "list.pt")
    assert loaded(tmp_path / "list.pt", trained) == []
    save_file(prefixed("model._orig_mod.", trained), tmp_path / "model.safetensors")
    assert loaded(tmp_path / "model.safetensors", trained) == []
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert loaded(tmp_path / "pytorch_model.bin", trained) == [], "the content tells the format"


@pytest.mark.parametrize("wrapper", ["_orig_mod", "module", "_fsdp_wrapped_module"])
def test_a_wrapper_around_a_part_of_the_network(wrapper: str, trained: nn.Module, tmp_path: Path) -> None:
    """As torch.compile and data parallelism leave them where they were applied to modules inside."""
    state = {
        key.replace("masker.TCN", f"masker.{wrapper}.TCN").replace("encoder.", f"encoder.{wrapper}."): value
        for key, value in prefixed("net.", trained).items()
    }
    torch.save(state, tmp_path / "x.pt")
    assert loaded(tmp_path / "x.pt", trained) == []


def test_a_compiled_network_that_a_trainer_holds_twice(trained: nn.Module, tmp_path: Path) -> None:
    task = nn.Module()
    task.network, task.run_network = trained, torch.compile(trained)
    torch.save({"state_dict": task.state_dict(), "callbacks": {}, "loops": {"fit_loop": {"state_dict": {}}}}, tmp_path / "best.ckpt")
    assert loaded(tmp_path / "best.ckpt", trained) == []


def test_tensors_beside_the_network_are_left_out_and_told(trained: nn.Module, tmp_path: Path) -> None:
    state = {**prefixed("", trained), "loss.window": torch.zeros(8), "loss.scale": torch.zeros(1), "critic.weight": torch.zeros(3)}
    torch.save({"state_dict": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}}}, tmp_path / "x.ckpt")
    (note,) = loaded(tmp_path / "x.ckpt", trained)
    assert "beside the network are left out: loss (2), critic (1)" in note


def test_a_tensor_inside_the_network_is_not_left_out(trained: nn.Module, tmp_path: Path) -> None:
    torch.save({**prefixed("model.", trained), "model.masker.TCN.6.skip_conv.bias": torch.zeros(5)}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=r"unknown: model\.masker\.TCN\.6\.skip_conv\.bias"):
        load_network(build_network(SPEC), tmp_path / "x.ckpt", SPEC)


def test_of_several_sets_the_first_is_taken_and_the_others_are_told(trained: nn.Module, tmp_path: Path) -> None:
    averaged = build_network(SPEC)
    torch.save({"model": prefixed("module.", trained), "ema": prefixed("", averaged), "copy": prefixed("", trained)}, tmp_path / "x.pt")
    (note,) = loaded(tmp_path / "x.pt", trained)
    assert "model/module is taken, not ema; to have another, save it alone" in note


def test_an_incomplete_set_before_a_whole_one_is_passed_over(trained: nn.Module, tmp_path: Path) -> None:
    half = {key: value for key, value in prefixed("", build_network(SPEC)).items() if key.startswith("masker")}
    torch.save({"pretrained": half, "state_dict": prefixed("", trained)}, tmp_path / "x.pt")
    loaded(tmp_path / "x.pt", trained)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"epoch": 3, "args": {"lr": 0.1}}, [1, 2, 3], "text"])
def test_a_file_without_tensors_shows_what_it_has(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match="holds no tensor") as refusal:
        load_network(build_network(SPEC), tmp_path / "x.pt", SPEC)
    assert not isinstance(content, dict) or all(key in str(refusal.value) for key in content if key != "state_dict")
