"""Outputs of the fake-quantized network in torch, for the rung of the parity ladder that no runtime can compute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import nn

from export_specs.atomic import atomic_path
from export_specs.errors import UserError


def write_outputs(network: nn.Module, evaluation_set: Path, segment_samples: int, limit: int, path: Path) -> None:
    """Separate the first ``limit`` items of an evaluation set and write int16 [S, T] or [S, A, T] arrays by item id (npz).

    Raises:
        UserError: an item is longer than one segment, which torch would have to stitch.
    """
    manifest = json.loads((evaluation_set / "manifest.json").read_text())
    outputs: dict[str, NDArray[np.int16]] = {}
    network.eval()
    for item in manifest["items"][:limit]:
        pcm = soundfile.read(evaluation_set / item["mixture"], dtype="int16")[0].T  # [T] or [A, T]
        count = pcm.shape[-1]
        if count > segment_samples:
            raise UserError(f"item {item['id']} has {count} samples, more than one segment of {segment_samples}; cap the evaluation set")
        gain = 2 ** max(0, 15 - int(np.abs(pcm.astype(np.int32)).max()).bit_length()) if pcm.any() else 1
        segment = np.zeros((*pcm.shape[:-1], segment_samples), np.float32)
        segment[..., :count] = pcm.astype(np.float32) * gain / 32768
        with torch.no_grad():
            separated = network(torch.from_numpy(segment)[None])[0].numpy()
        codes = np.clip(np.rint(separated * 32768), -32768, 32767) / gain
        outputs[item["id"]] = (np.sign(codes) * np.floor(np.abs(codes) + 0.5)).astype(np.int16)[..., :count]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **outputs)  # type: ignore[arg-type]
