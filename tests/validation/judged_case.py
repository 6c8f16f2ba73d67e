"""A whole case for the judge: the tiny network in both formats, its data, and a judge.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from export_specs.schema import TargetSpec
from tests.edge_runtime.conftest import write_onnx_network, write_tflite_network
from tests.validation.synthetic import make_item, noisy, write_set

_ANY_LOSS = {"ptq": 200.0, "quick": 200.0, "full": 200.0}
LIMITS: dict[str, dict[str, Any]] = {  # the tiny network separates nothing
    "task.mean": {"sqnr_db": {"quick": -200.0}},
    "task.p5": {"excess_db": _ANY_LOSS},
    "task.stoi": {"max_loss": _ANY_LOSS},
    "task.order": {"least_agreement": {"quick": 0.0}},
}
TARGET = TargetSpec(name="tiny", format="tflite", runtimes=["onnxruntime", "litert-ref", "litert-xnnpack", "tflm"], gates=LIMITS)


def write_case(base: Path) -> Path:
    """Everything that judge.json names, in ``base``."""
    write_tflite_network(base / "model.tflite")
    write_onnx_network(base / "model.qdq.onnx")
    tests = [make_item(k, f"t/{k}", "seen" if k % 2 else "unseen") for k in range(5)]
    sweeps = [make_item(9 + k, f"s{k}", "seen", snr_db=float(10 * k - 10)) for k in range(3)]
    for name, items in (("test", tests), ("sweep", sweeps)):
        renamed = [type(item)(item.id.replace("/", "-"), item.subset, item.snr_db, item.mixture, item.sources) for item in items]
        write_set(base / name, renamed, name)
        np.savez(base / f"float-{name}.npz", **{i.id: noisy(i.sources, 12, 1).astype(np.float32) for i in renamed})
    stages = [
        {"name": "float", "kind": "outputs", "path": "float-{set}.npz"},
        {"name": "onnxruntime", "kind": "model", "path": "model.qdq.onnx", "runtime": "onnxruntime"},
        {"name": "litert-ref", "kind": "model", "path": "model.tflite", "runtime": "litert-ref"},
        {"name": "tflm", "kind": "model", "path": "model.tflite", "runtime": "tflm", "items": 2},
    ]
    noise = [{"layer": f"block{k}", "kind": "Add", "own": 30.0 - k, "gathered": "inf"} for k in range(12)]
    (base / "layers.json").write_text(json.dumps(noise))
    config = {
        "layer_noise": "layers.json",
        "model": "tiny", "target": "tiny", "profile": "quick", "tflite": "model.tflite", "onnx": "model.qdq.onnx", "parameters": 15,
        "stages": stages, "sets": [{"path": "test"}, {"path": "sweep", "role": "sweep", "stages": ["float", "litert-ref"]}],
        "workers": 1, "level_items": 1, "layer_clips": 2, "audio_items": 0, "cache": "cache",
        "provenance": {"digests": {"checkpoint": "ab"}},
        "reproduce": "make deploy",
    }  # fmt: skip
    (base / "judge.json").write_text(json.dumps(config))
    return base
