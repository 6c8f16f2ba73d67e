"""Weights in and out of networks: safetensors, or torch checkpoints loaded without running their code."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from export_specs.atomic import atomic_path
from export_specs.errors import UserError


def save_network(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write a network's state as safetensors, atomically."""
    state = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: ``.safetensors``, or a torch file with ``weights_only=True``.

    Asteroid's and lightning's files keep the tensors under ``state_dict``; a common prefix such as ``model.`` is dropped.

    Raises:
        UserError: missing, truncated, not a checkpoint, or a pickle that wants to run code.
    """
    if not path.is_file():
        raise UserError(f"the checkpoint {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); copy it again") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is a pickle that could run code, or not a checkpoint. Save its state_dict as safetensors. ({str(error).splitlines()[0]})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a torch checkpoint ({str(error).splitlines()[0]}); is it whole?") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        raise UserError(f"{path} holds no state_dict of tensors")
    return state


def load_network(network: nn.Module, path: Path) -> None:
    """Load a checkpoint into a network by key; every key and shape must fit.

    Raises:
        UserError: what :func:`read_state` raises, or keys that are missing, unknown or of another shape (named).
    """
    state = read_state(path)
    expected = network.state_dict()
    for prefix in ("model.", "network.", "module."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    faults = [f"missing: {key}" for key in expected if key not in state]
    faults += [f"unknown: {key}" for key in state if key not in expected]
    faults += [
        f"{key} is {list(state[key].shape)}, not {list(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    faults += [f"{key} holds NaN or infinity" for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if faults:
        more = f"; and {len(faults) - 6} more" if len(faults) > 6 else ""
        raise UserError(f"the checkpoint {path} does not fit the network: {'; '.join(faults[:6])}{more}")
    network.load_state_dict(state)
