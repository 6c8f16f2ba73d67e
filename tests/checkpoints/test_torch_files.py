"""Torch files of any program are read without running code; other files are told for what they are."""

from __future__ import annotations

import argparse
import collections
import fractions
import gzip
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from export_specs.foundation.errors import UserError
from pipeline.checkpoints.content import content_of
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.torch_files import Unread, read_torch_file
from pipeline.networks.build import build_network
from tests.networks.specs import small_spec

SPEC = small_spec()


class Settings(dict):  # type: ignore[type-arg]
    """As the hyper-parameters of Lightning are one."""


class History(list):  # type: ignore[type-arg]
    pass


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stride = 7
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(content: object) -> Path:
        torch.save(content, tmp_path / "x.pt")
        return tmp_path / "x.pt"

    return save


def test_objects_of_other_programs_become_stand_ins(saved: Any) -> None:
    content = {
        "args": argparse.Namespace(lr=0.1, stride=16),
        "hyper_parameters": Settings(n_src=2, inner=Settings(stride=8)),
        "history": History([1, {"stride": 4}]),
        "counts": collections.defaultdict(int, {"a": 1}),
        "segment": fractions.Fraction(39, 5),
        "path": Path("a/b"),
        "scalar": np.float64(2.5),
        "klass": Network,
        "tensor": torch.arange(3),
    }
    read = read_torch_file(saved(content))
    assert torch.equal(read["tensor"], torch.arange(3))
    assert issubclass(read["klass"], Unread)
    assert read["klass"].name.endswith("test_torch_files.Network")
    told = {one.place: one.value for one in content_of(read).told}
    assert told["args.stride"] == 16
    assert told["hyper_parameters.n_src"] == 2
    assert told["hyper_parameters.inner.stride"] == 8
    assert told["history.1.stride"] == 4
    assert told["counts.a"] == 1


def test_a_whole_module_gives_its_tensors_and_settings(saved: Any) -> None:
    network = Network()
    content = content_of(read_torch_file(saved(network)))
    tensors = {key.replace("/", "."): value for key, value in content.tensors.items()}
    assert tensors.keys() == network.state_dict().keys()
    assert all(torch.equal(tensors[key], value) for key, value in network.state_dict().items())
    assert ("stride", "Network", 7) in {(one.place, one.kind, one.value) for one in content.told if one.name == "stride" and one.value == 7}


def test_a_class_with_its_source_is_refused(tmp_path: Path) -> None:
    """As torch before 1.6 wrote modules."""
    torch.save({"klass": Network, "state": {"a": torch.zeros(1)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"holds the source of the classes.*weights\.pth"):
        read_torch_file(tmp_path / "old.pt")


class Payload:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("call", [Path.touch, subprocess.run, eval, exec, __import__, getattr, open], ids=lambda call: call.__name__)
def test_no_code_is_run(call: Any, saved: Any, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    arguments = {Path.touch: (ran,), subprocess.run: (["touch", str(ran)],), open: (str(ran), "w")}.get(call, (f"open({str(ran)!r}, 'w')",))
    with pytest.raises(UserError, match=r"could run code.*torch\.save\(torch\.load"):
        read_torch_file(saved({"state_dict": build_network(SPEC).state_dict(), "payload": Payload(call, *arguments)}))
    assert not ran.exists()


def test_code_of_other_programs_is_not_run(saved: Any, tmp_path: Path) -> None:
    """A function that is installed here too: torch.hub could fetch a program and run it."""
    read = read_torch_file(saved({"weights": torch.zeros(1), "x": Payload(torch.hub.load, "owner/repository", "model")}))
    assert isinstance(read["x"], Unread)
    assert read["x"].name == "torch.hub.load"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "x.pth",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 20403000\n",
            "a pointer of Git LFS.*20403000.*git lfs pull",
        ),
        ("x.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
        ("x.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
        ("x.bin", b"<!doctype html><html>Sign in", "a web page"),
        ("x.th", b'{"error": "Repository not found"}', "text .*Repository not found"),
        ("x.pth", gzip.compress(b"weights", mtime=0), "packed by gzip"),
        ("x.pth", b"", "empty, of 0 bytes"),
        ("x.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        ("x.wav", b"RIFF\0\0\0\0WAVEfmt " * 9, "a RIFF file"),
        ("x.pth", bytes(4000), "zeros from its beginning on"),
    ],
)
def test_what_is_no_checkpoint_is_told(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"is no checkpoint: it is {reason}"):
        load_network(build_network(SPEC), tmp_path / name, SPEC)


def test_other_kinds_of_files_that_hold_networks(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(1, 1)).save(tmp_path / "script.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    for name, reason in (
        ("script.pt", "TorchScript archive.*torch.jit.load"),
        ("plain.pkl", "did torch.save write it"),
        ("arrays.npz", "did torch.save"),
    ):
        with pytest.raises(UserError, match=reason):
            load_network(build_network(SPEC), tmp_path / name, SPEC)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without encoder\.ckpt, masker\.ckpt, decoder\.ckpt.*no other weights"):
        load_network(build_network(SPEC), tmp_path, SPEC)
    (tmp_path / "pytorch_model.bin").touch()
    (tmp_path / "README.md").touch()
    with pytest.raises(UserError, match=r"of its files name one: pytorch_model\.bin"):
        load_network(build_network(SPEC), tmp_path, SPEC)
