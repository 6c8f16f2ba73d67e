"""Outputs of the network in torch: those of one process and of several, at the level that a device gives it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from export_specs.foundation.child_process import process_pool
from export_specs.foundation.errors import UserError
from pipeline.export import simulate
from pipeline.export.simulate import WORTH_A_PROCESS, write_outputs
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, tiny_spec

SPEC = tiny_spec()


def make_set(folder: Path, lengths: list[int]) -> Path:
    folder.mkdir()
    items = []
    for number, samples in enumerate(lengths):
        soundfile.write(folder / f"{number}.wav", mixtures(SPEC, 1, number)[0, :samples].numpy() / 8, SPEC.sample_rate, subtype="PCM_16")
        items.append({"id": f"m{number}", "mixture": f"{number}.wav"})
    (folder / "manifest.json").write_text(json.dumps({"sample_rate": SPEC.sample_rate, "items": items}))
    return folder


def test_as_many_processes_as_threads_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(simulate, "process_pool", lambda count, *rest: (begun.append(count), process_pool(count, *rest))[1])
    network = quantized_network(SPEC, Recipe("fqss", "scalar-gain"))
    lengths = [SPEC.segment_samples - number for number in range(2 * WORTH_A_PROCESS)]
    inputs = make_set(tmp_path / "set", lengths)
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        write_outputs(network, inputs, SPEC.segment_samples, tmp_path / f"{threads}.npz")
        found[threads] = dict(np.load(tmp_path / f"{threads}.npz"))
    torch.set_num_threads(1)
    assert begun == [2]
    assert [output.shape for output in found[1].values()] == [(SPEC.n_src, samples) for samples in lengths]
    for item, output in found[1].items():
        assert output.dtype == np.int16 and output.any()
        np.testing.assert_array_equal(found[2][item], output)
    with torch.no_grad():  # these clips lie below an eighth of full scale: 8 times as loud, and back
        pcm = soundfile.read(inputs / "0.wav", dtype="int16")[0].astype(np.float32)
        gain = 2 ** int(np.floor(np.log2(32767 / np.sort(np.abs(pcm))[-1 - SPEC.segment_samples // 4096])))
        expected = network(torch.from_numpy(pcm[None] * gain / 32768))[0].numpy() * 32768 / gain
    assert gain >= 8 and np.abs(expected - found[1]["m0"]).max() <= 1


@pytest.mark.parametrize("count", [1, 2 * WORTH_A_PROCESS])
def test_an_item_longer_than_a_segment_is_named(count: int, tmp_path: Path) -> None:
    inputs = make_set(tmp_path / "set", [SPEC.segment_samples] * count)
    torch.set_num_threads(2)
    with pytest.raises(UserError, match=r"item m0 has \d+ samples, more than one segment of 400"):
        write_outputs(quantized_network(SPEC, Recipe("fqss", "scalar-gain")), inputs, 400, tmp_path / "outputs.npz")
    torch.set_num_threads(1)
    assert not (tmp_path / "outputs.npz").exists()
