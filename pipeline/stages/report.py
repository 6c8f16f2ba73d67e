"""Stage: the parity report, made by ``python -m validation judge`` in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from export_specs.foundation.atomic import write_text
from export_specs.foundation.child_process import run_child
from export_specs.foundation.errors import UserError
from export_specs.foundation.progress import handed_over
from export_specs.schema import EMULATED, ModelSpec, TargetSpec, runs_onnx_files
from pipeline.networks.build import build_network
from pipeline.stages.graph import RECORD
from pipeline.stages.onnx2tf_beside import REFUSAL

EVERY_ITEM = 1_000_000
TARGET_FILE = "target.yaml"  # beside judge.json: what the target says now, whatever becomes of the file that it was read from
# fast ones for softer mixtures, because the change is small beside what it varies by and needs them all, and for whole tracks
FAST_RUNTIMES = ("litert-xnnpack", "onnxruntime")
SLOW_RUNTIMES = ("tflm", *EMULATED)
SLOW_ITEMS = 4  # every one of their tensors is compared with LiteRT's on other clips anyway
BESIDE = {"vanilla": "vanilla QAT", "ptq": "ptq", "onnx2tf": "onnx2tf int8"}


def run(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> None:
    """``inputs``: evaluation, float, and those of fake, onnx, tflite, stream-onnx, stream-tflite and beside-* that there are.
    Makes the folder ``report``.

    ``settings``: spec, target, profile, command (which makes it again). A failed gate is no failure of this stage: the verdict stands in
    ``report/parity.json``.

    Raises:
        UserError: no report was made.
    """
    config = judge_config(settings, inputs)
    write_text(folder / TARGET_FILE, yaml.safe_dump(settings["target"]))
    write_text(folder / "judge.json", json.dumps(config, indent=1))
    command = [sys.executable, "-m", "validation", "judge", "--config", str(folder / "judge.json"), "--out", str(folder / "report")]
    with handed_over():
        code = run_child(command).returncode
    if not (folder / "report" / "parity.json").is_file():
        raise UserError(f"the parity report was not made (exit code {code}); see above and {folder / 'judge.json'}")


def judge_config(settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The settings of the judge (``validation.config.JudgeConfig``): the ladder from the float network to every runtime of the target."""
    target = TargetSpec.model_validate(settings["target"])
    parameters = sum(value.numel() for value in build_network(ModelSpec.model_validate(settings["spec"])).parameters())
    files = {name: str(folder.resolve()) for name, folder in inputs.items()}
    float_onnx = f"{files['float']}/float.onnx"
    stages = [_model("float", float_onnx, "onnxruntime")]
    refused = {}
    for name, label in BESIDE.items():
        folder = files.get(f"beside-{name}")
        if folder is not None and (refusal := Path(folder, "beside", REFUSAL)).is_file():
            refused[label] = refusal.read_text().strip().splitlines()[-1]
        elif folder is not None:
            file, runtime = ("beside/model.tflite", "litert-xnnpack") if name == "onnx2tf" else ("model.qdq.onnx", "onnxruntime")
            stages.append({**_model(label, f"{folder}/{file}", runtime), "beside": True})
    if "fake" in files:
        stages.append({"name": "fake-quantized", "kind": "outputs", "path": f"{files['fake']}/outputs/{{set}}.npz"})
    onnx = f"{files['onnx']}/model.qdq.onnx" if "onnx" in files else None
    tflite = f"{files['tflite']}/model.tflite" if "tflite" in files else None
    stages += [_model(runtime, onnx if runs_onnx_files(runtime) else tflite, runtime) for runtime in target.runtimes]
    beside = ["float", *(stage["name"] for stage in stages if stage.get("beside"))]
    fast_runtime = next((runtime for runtime in FAST_RUNTIMES if runtime in target.runtimes), target.subject)
    sets = [
        {"path": f"{files['evaluation']}/test", "role": "test"},
        {"path": f"{files['evaluation']}/sweep", "role": "sweep", "stages": [*beside, target.subject]},
    ]
    if settings["spec"]["task"] == "music":
        sets.append({"path": f"{files['evaluation']}/tracks", "role": "extra", "stages": [*beside, fast_runtime]})
    return {
        "model": settings["spec"]["name"],
        "target": TARGET_FILE,
        "profile": settings["profile"],
        "tflite": tflite,
        "onnx": onnx,
        "float_onnx": float_onnx,
        "stream_tflite": f"{files['stream-tflite']}/model.stream.tflite" if "stream-tflite" in files else None,
        "stream_onnx": f"{files['stream-onnx']}/model.stream.qdq.onnx" if "stream-onnx" in files else None,
        "parameters": parameters,
        "layer_noise": f"{files['fake']}/layers.json" if "fake" in files else None,
        "subject": target.subject,
        "level_runtime": fast_runtime,
        "level_items": EVERY_ITEM,
        "stages": stages,
        "refused": refused,
        "sets": sets,
        "reproduce": settings["command"],
        "provenance": {"digests": _digests(inputs)},
    }


def _model(name: str, path: str | None, runtime: str) -> dict[str, Any]:
    stage: dict[str, Any] = {"name": name, "kind": "model", "path": path, "runtime": runtime}
    return {**stage, "items": SLOW_ITEMS} if runtime in SLOW_RUNTIMES else stage


def _digests(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digests of single-file parents, by ``stage/file``."""
    found = {}
    for name, folder in inputs.items():
        if (folder / RECORD).is_file() and name != "evaluation":
            results = json.loads((folder / RECORD).read_text())["results"]
            found.update({f"{name}/{file}": digest for file, digest in results.items()})
    return found
