"""Weights of networks as safetensors files, whose metadata say what network they are of."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from export_specs.foundation.atomic import write_bytes
from export_specs.schema import ModelSpec


def facts_of(spec: ModelSpec) -> dict[str, str]:
    """What float weights tell of their network, as metadata: reading them with another spec is refused."""
    facts: dict[str, object] = {"model": spec.name, "architecture": spec.architecture, "sample_rate": spec.sample_rate, "n_src": spec.n_src}
    if spec.source_names:
        facts["source_names"] = ",".join(spec.source_names)
    return {name: str(value) for name, value in {**facts, **spec.network.model_dump()}.items()}


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
