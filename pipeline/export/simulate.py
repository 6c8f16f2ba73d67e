"""Outputs of the fake-quantized network in torch, for the rung of the parity ladder that no runtime can compute."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export_specs.foundation.atomic import atomic_path, write_text
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import tracked
from pipeline.networks.network import Network
from pipeline.quantization.noise import layer_noise


def write_outputs(network: nn.Module, evaluation_set: Path, segment_samples: int, limit: int, path: Path) -> None:
    """Separate the first ``limit`` items of an evaluation set and write int16 [S, T] or [S, A, T] arrays by item id (npz).

    Raises:
        UserError: an item is longer than one segment, which torch would have to stitch.
    """
    manifest = json.loads((evaluation_set / "manifest.json").read_text())
    outputs: dict[str, NDArray[np.int16]] = {}
    network.eval()
    for item in tracked(manifest["items"][:limit], f"{evaluation_set.name} in torch, mixture"):
        pcm = soundfile.read(evaluation_set / item["mixture"], dtype="int16")[0].T  # [T] or [A, T]
        segment, gain = _segment(pcm, segment_samples, manifest["sample_rate"], item["id"])
        with torch.no_grad():
            separated = network(segment[None])[0].numpy()
        codes = np.clip(np.rint(separated * 32768), -32768, 32767) / gain
        outputs[item["id"]] = (np.sign(codes) * np.floor(np.abs(codes) + 0.5)).astype(np.int16)[..., : pcm.shape[-1]]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **outputs)  # type: ignore[arg-type]


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
