"""A deployed folder, as small as one can be: a network of four operators, one golden clip, a report with what a release reads of it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.runtime import open_runtime
from tests.edge_runtime.conftest import SAMPLES, write_tflite_network

COMMIT, DATE = "0123456789abcdef0123456789abcdef01234567", 1_700_000_000


def deployed_folder(folder: Path, verdict: str = "passed", golden_fault: int = 0, **settings: str) -> Path:
    """``settings``: in place of MODEL. ``golden_fault``: what is added to the first golden sample."""
    (folder / "device").mkdir(parents=True)
    model = write_tflite_network(folder / "model.tflite")
    clip = np.random.default_rng(3).integers(-20_000, 20_000, SAMPLES).astype(np.int16)
    separated = open_runtime(model, "litert-ref").run(clip)
    separated[0, 0] += golden_fault
    np.savez_compressed(folder / "golden_vectors.npz", input_0=clip, output_0=separated)
    (folder / "device" / "resolver.h").write_text("// a resolver\n")
    (folder / "parity.html").write_text("<p>report</p>")
    (folder / "parity.json").write_text(json.dumps(_parity(verdict)))
    files = {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    given = {**(settings or {"MODEL": "convtasnet"}), "TARGET": "tflite-int8", "PROFILE": "quick" if settings else "shipped"}
    manifest = {
        "command": "make deploy " + " ".join(f"{name}={value}" for name, value in given.items()),
        "settings": given,
        "source": {"commit": COMMIT, "date": DATE, "changed": False},
        "spec_sha256": "1" * 64,
        "target_sha256": "2" * 64,
        "parents": {"float weights": {"float.safetensors": "3" * 64}},
        "versions": {"python": "3.11.7", "ai_edge_litert": "2.3.0"},
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _parity(verdict: str) -> dict[str, Any]:
    data = {"name": "test", "role": "test", "description": "Made-up speech", "licence": "Apache-2.0 (made up)"}
    subject = {"model": "convtasnet", "target": "tflite-int8", "stage": "litert-ref", "parameters": 1000, "sample_rate": 8000}
    return {
        "verdict": {"state": verdict, "words": f"1 {verdict}", "failed": ["task.mean"] if verdict == "failed" else []},
        "subject": {**subject, "segment_samples": SAMPLES},
        "tiles": [{"label": "loss", "value": "0.1 dB", "note": "of 4 mixtures"}],
        "gates": [{"id": "task.mean"}],
        "not_tested": ["no real device"],
        "data": [{**data, "name": "sweep", "role": "sweep"}, data],
        "ladder": [{"stage": "litert-ref", "set": "test", "summary": {"n": 4, "si_sdr_improvement": 4.25}}],
    }
