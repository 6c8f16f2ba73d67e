"""Outputs of the fake-quantized network in torch, for the rung of the parity ladder that no runtime can compute."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export_specs.foundation.atomic import atomic_path, write_text
from export_specs.foundation.child_process import process_pool
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import tracked
from pipeline.allocator import keep_freed_memory
from pipeline.networks.network import Network
from pipeline.quantization.noise import layer_noise

WORTH_A_PROCESS = 8  # items: one takes seconds to begin
_network: nn.Module | None = None  # of a process that simulates


def write_outputs(network: nn.Module, evaluation_set: Path, segment_samples: int, path: Path) -> None:
    """Separate the items of an evaluation set and write int16 [S, T] or [S, A, T] arrays by item id (npz).

    In as many processes as torch has threads, of one thread each: they would wait for each other at every small operation.

    Raises:
        UserError: an item is longer than one segment, which torch would have to stitch; a process died.
    """
    network.eval()
    manifest = json.loads((evaluation_set / "manifest.json").read_text())
    items = manifest["items"]
    jobs = [(evaluation_set / item["mixture"], segment_samples, manifest["sample_rate"], item["id"]) for item in items]
    with ExitStack() as stack:
        if (count := min(torch.get_num_threads(), len(items) // WORTH_A_PROCESS)) > 1:
            processes = stack.enter_context(process_pool(count, "simulated the network", _begin, network))
            separated: Iterable[NDArray[np.int16]] = processes.map(_separate_in_process, *zip(*jobs, strict=True))
        else:
            separated = (_separate(network, *job) for job in jobs)
        told = tracked(separated, f"{evaluation_set.name} in torch, mixture", len(items))
        outputs = {item["id"]: output for item, output in zip(items, told, strict=True)}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **outputs)  # type: ignore[arg-type]


def _begin(network: nn.Module) -> None:
    global _network
    keep_freed_memory()
    torch.set_num_threads(1)
    _network = network


def _separate_in_process(*job: Any) -> NDArray[np.int16]:
    assert _network is not None
    return _separate(_network, *job)


def _separate(network: nn.Module, mixture: Path, segment_samples: int, sample_rate: int, item: str) -> NDArray[np.int16]:
    """What the network gives for a file, int16 [S, T] or [S, A, T]."""
    pcm = soundfile.read(mixture, dtype="int16")[0].T  # [T] or [A, T]
    segment, gain = _segment(pcm, segment_samples, sample_rate, item)
    with torch.no_grad():
        separated = network(segment[None])[0].numpy()
    codes = np.clip(np.rint(separated * 32768), -32768, 32767) / gain
    rounded: NDArray[np.float32] = np.sign(codes) * np.floor(np.abs(codes) + 0.5)
    return rounded.astype(np.int16)[..., : pcm.shape[-1]]


def write_noise(network: Network, evaluation_set: Path, segment_samples: int, count: int, path: Path) -> None:
    """Write the SQNR of every layer (:class:`pipeline.quantization.noise.LayerNoise`) on the first ``count`` items as JSON.

    Raises:
        UserError: an item is longer than one segment.
    """
    manifest = json.loads((evaluation_set / "manifest.json").read_text())
    clips = []
    for item in manifest["items"][:count]:
        pcm = soundfile.read(evaluation_set / item["mixture"], dtype="int16")[0].T
        clips.append(_segment(pcm, segment_samples, manifest["sample_rate"], item["id"])[0])
    noises = layer_noise(network.eval(), torch.stack(clips))
    write_text(path, json.dumps([{key: _json_number(value) for key, value in asdict(noise).items()} for noise in noises], indent=1))


def _json_number(value: str | float) -> str | float:
    """JSON has no infinity: it is written as parity.json has it."""
    return "inf" if value == math.inf else value


def _segment(pcm: NDArray[np.int16], segment_samples: int, sample_rate: int, item: str) -> tuple[Tensor, int]:
    """PCM [T] or [A, T] without its constant at the level a device gives it, zero padded: float32 with 1.0 = full scale; and the gain."""
    count = pcm.shape[-1]
    if count > segment_samples:
        raise UserError(f"item {item} has {count} samples, more than one segment of {segment_samples}; cap the evaluation set")
    if 4 * count >= sample_rate:
        total = pcm.sum(axis=-1, dtype=np.int64, keepdims=True)
        constant = np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))
        pcm = np.clip(pcm - constant, -32768, 32767).astype(np.int16)
    loudest = np.sort(np.abs(pcm.astype(np.int32)), axis=None)[::-1]  # one in 4096 samples of the segment may saturate
    clicks = pcm.size // count * segment_samples // 4096
    peak = int(loudest[clicks]) if clicks < loudest.size else 0
    gain = 2 ** min(14, max(0, 15 - peak.bit_length())) if pcm.any() else 1
    segment = np.zeros((*pcm.shape[:-1], segment_samples), np.float32)
    segment[..., :count] = np.clip(pcm.astype(np.float32) * gain, -32768, 32767) / 32768
    return torch.from_numpy(segment), gain
