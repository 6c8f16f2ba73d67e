"""A checkpoint of any origin into a network of the spec."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from export_specs.foundation.errors import UserError, printable
from export_specs.schema import ModelSpec
from pipeline.checkpoints.container import read_content
from pipeline.checkpoints.content import Content, Told
from pipeline.checkpoints.matching import Match, find_network
from pipeline.checkpoints.onnx_weights import check_against_onnx
from pipeline.checkpoints.settings import CLASS_NAMES, contradictions
from pipeline.networks.formats import checkpoint_format

NAMED_FAULTS = 6
NAMED_KEYS = 3


def load_network(network: nn.Module, path: Path, spec: ModelSpec) -> list[str]:
    """Load a checkpoint into the network of ``spec``; every tensor and shape must fit, and all that the file tells of its network.

    Returns:
        What a user should know: tensors that were left out, and other sets of weights in the same file.

    Raises:
        UserError: what :func:`pipeline.checkpoints.container.read_content` raises; tensors that are missing, unknown or of another shape,
            NaN or infinity (named); a file whose network has other settings, or computes something else.
    """
    form = checkpoint_format(spec.architecture)
    expected = network.state_dict()
    content = read_content(path, dict.fromkeys(name.partition(".")[0] for name in expected))
    if not content.tensors:
        raise UserError(f"the checkpoint {path} holds no tensor{_places(content)}: CHECKPOINT needs the weights of a network")
    match = find_network(content.tensors, expected, form.layouts(spec))
    if path.suffix == ".onnx":  # its other tensors are constants of the graph, and that it computes the same is checked
        match.unknown.clear()
        match.beside.clear()
    state = {name: _in_shape(content.tensors[key], expected[name]) for name, key in match.keys.items()}
    state |= {name: torch.zeros_like(expected[name]) for name in form.unused(spec) & expected.keys() - state.keys()}
    implied = [Told(f"as {match.layout.name} has it", name, "", value) for name, value in match.layout.implies.items()]
    faults = [*contradictions([*content.told, *implied], form.settings(spec), form.defaults), *_faults(state, expected, match)]
    if faults:
        more = f"; and {len(faults) - NAMED_FAULTS} more" if len(faults) > NAMED_FAULTS else ""
        evidence = _evidence(content, match, state, expected)
        told = printable(f"{'; '.join(faults[:NAMED_FAULTS])}{more}{evidence}")
        raise UserError(f"the checkpoint {path} does not fit the network: {told}")
    if path.suffix == ".onnx":
        trial = copy.deepcopy(network)
        trial.load_state_dict(state)
        check_against_onnx(trial, path, spec)
    network.load_state_dict(state)
    return _notes(path, match)


def _in_shape(value: Tensor, expected: Tensor) -> Tensor:
    """A tensor in the shape that is expected, if they differ in axes of length 1 only: a 1x1 convolution has two of them, or one."""
    theirs, ours = ([size for size in tensor.shape if size > 1] for tensor in (value, expected))
    return value.reshape(expected.shape) if theirs == ours else value


def _faults(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], match: Match) -> list[str]:
    faults = [f"missing: {match.layout.rename(name)}" for name in expected if name not in state]
    faults += [f"unknown: {key}" for key in match.unknown]
    for name, value in state.items():
        wanted = expected[name]
        if value.shape != wanted.shape:
            faults.append(f"{name} is {list(value.shape)}, not {list(wanted.shape)}")
        if value.is_floating_point() != wanted.is_floating_point():
            faults.append(f"{name} is {value.dtype}, not {wanted.dtype}".replace("torch.", ""))
        if value.is_floating_point() and not value.isfinite().all():
            faults.append(f"{name} holds NaN or infinity")
    return faults


def _evidence(content: Content, match: Match, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Names of both sides where some did not meet, and what the file calls its network."""
    missing = [name for name in expected if name not in state]
    if not missing and not match.unknown:
        return ""
    used = set(match.keys.values())
    rest = [key for key in content.tensors if key not in used]
    theirs = f"{len(content.tensors)} tensors{_named(rest or list(content.tensors))}"
    silence = f". It does not say {content.silent_about}" if content.silent_about else ""
    called = dict.fromkeys(str(one.value) for one in content.told if one.name in CLASS_NAMES and one.value)
    name = f", of a network that it calls {', '.join(called)}" if called else ""
    return f". The file holds {theirs}{name}; the network {len(expected)}{_named(missing or list(expected))}{silence}"


def _named(keys: Sequence[str]) -> str:
    return f" (such as {', '.join(keys[:NAMED_KEYS])})" if keys else ""


def _places(content: Content) -> str:
    places = dict.fromkeys(one.place.partition(".")[0] for one in content.told if one.place)
    return f", only {', '.join(islice(places, NAMED_FAULTS))}" if places else ""


def _notes(path: Path, match: Match) -> list[str]:
    notes = []
    if match.beside:
        groups = ", ".join(f"{name} ({count})" for name, count in match.beside.most_common(NAMED_FAULTS))
        notes.append(f"{path}: tensors beside the network are left out: {groups}")
    if match.others:
        taken, *others = (place.rstrip("./") or "the outermost" for place in (match.prefix, *match.others))
        notes.append(f"{path} holds several sets of weights: {taken} is taken, not {', '.join(others)}; to have another, save it alone")
    return notes
