"""Weights in and out of networks: safetensors, torch checkpoints loaded without running their code, or somebody's ONNX export."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from export_specs.foundation.atomic import write_bytes
from export_specs.foundation.errors import UserError
from pipeline.networks.convtasnet.model import ConvTasNet
from pipeline.networks.convtasnet.onnx_weights import check_against_onnx, read_onnx_state

PREFIXES = ("model.", "network.", "module.")
NAMED_FAULTS = 6
SPEECHBRAIN_PARTS = ("encoder", "masknet", "decoder")


def save_network(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write a network's state as safetensors, atomically. In a training of several processes all call it: the first one writes, the
    others wait until it has."""
    several = torch.distributed.is_initialized()
    if not several or torch.distributed.get_rank() == 0:
        _write_network(network, path, metadata)
    if several:
        torch.distributed.barrier()


def _write_network(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    state = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    write_bytes(path, _with_sorted_header(save(state, metadata)))


def _with_sorted_header(content: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library writes them in a random one, and digests are taken of the file."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, in the names of the network's published implementation.

    ``.safetensors``, ``.onnx`` (:mod:`pipeline.networks.convtasnet.onnx_weights`), a torch file, read with ``weights_only=True``, or
    SpeechBrain's folder of three of them. Asteroid's and lightning's files keep the tensors under ``state_dict``, Demucs' under ``state``.
    A prefix that all names share, such as ``model.``, is dropped, and so is the place that a causal depthwise convolution has beside the
    layer that cuts its end off.

    Raises:
        UserError: missing, truncated, not a checkpoint, or a pickle that wants to run code.
    """
    return _state_of(_read(path), path)


def load_network(network: nn.Module, path: Path) -> None:
    """Load a checkpoint into a network by key; every key and shape must fit, and whatever the file tells of its network.

    Raises:
        UserError: what :func:`read_state` raises; keys that are missing, unknown or of another shape, NaN or infinity (named);
            a file whose network has other settings, or computes something else.
    """
    content = _read(path)
    state = _state_of(content, path)
    expected = network.state_dict()
    state = {key: _in_shape(value, expected[key]) if key in expected else value for key, value in state.items()}
    faults = [f"missing: {key}" for key in expected if key not in state]
    faults += [f"unknown: {key}" for key in state if key not in expected]
    faults += [
        f"{key} is {list(state[key].shape)}, not {list(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    faults += [
        f"{key} is {value.dtype}, not {expected[key].dtype}".replace("torch.", "")
        for key, value in state.items()
        if key in expected and value.is_floating_point() != expected[key].is_floating_point()
    ]
    faults += [f"{key} holds NaN or infinity" for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if isinstance(network, ConvTasNet):
        faults += _other_settings(network.asteroid_arguments(), content.get("model_args"))
    if faults:
        more = f"; and {len(faults) - NAMED_FAULTS} more" if len(faults) > NAMED_FAULTS else ""
        raise UserError(f"the checkpoint {path} does not fit the network: {'; '.join(faults[:NAMED_FAULTS])}{more}")
    network.load_state_dict(state)
    if path.suffix == ".onnx" and isinstance(network, ConvTasNet):
        check_against_onnx(network, path, network.encoder.kernel_size, network.encoder.stride)


def _in_shape(value: Tensor, expected: Tensor) -> Tensor:
    """A tensor in the shape that is expected, if they differ in axes of length 1 only: a 1x1 convolution has two of them, or one."""
    theirs, ours = ([size for size in tensor.shape if size > 1] for tensor in (value, expected))
    return value.reshape(expected.shape) if theirs == ours else value


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        parts = {name: path / f"{name}.ckpt" for name in SPEECHBRAIN_PARTS}
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in _state_of(_read(part), part).items()}
    if not path.is_file():
        raise UserError(f"the checkpoint {path} does not exist")
    if path.suffix == ".onnx":
        return dict(read_onnx_state(path))
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with torch.serialization.safe_globals([TorchVersion]):  # a string that Asteroid's packages hold
            content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); copy it again") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is a pickle that could run code when it is read, or no checkpoint at all. "
            f"If you trust where it comes from, save its state_dict alone: torch.save(torch.load(path, weights_only=False)"
            f"['state_dict'], 'weights.pth'); of a Demucs package it is ['state']. ({_cause(error)})"
        ) from error
    except Exception as error:  # of bytes that are no pickle, the reader of pickles raises whatever they lead it to
        raise UserError(f"{path} cannot be read as a torch checkpoint ({_cause(error)}); is it whole?") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, no state_dict of tensors")
    return content


def _state_of(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    state = content.get("state_dict", content.get("state", content))
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state_dict of tensors")
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {re.sub(r"(shared_block\.3)\.0\.(weight|bias)$", r"\1.\2", key): value for key, value in state.items()}


def _other_settings(ours: dict[str, Any], theirs: object) -> list[str]:
    """Faults of an Asteroid package whose ``model_args`` ask for another network with the same weights."""
    if not isinstance(theirs, dict):
        return []
    return [
        f"the file's network has {name} {theirs[name]!r}, the spec's {value!r}"
        for name, value in ours.items()
        if name in theirs and (theirs[name] or "linear") != (value or "linear")
    ]


def _cause(error: Exception) -> str:
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if wanted:
        return f"it asks for {wanted[1]}"
    told = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))  # torch's advice around it is meant for its own users
    return told[1] if told else (str(error).splitlines() or [type(error).__name__])[0]
