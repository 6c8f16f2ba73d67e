import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

from export_specs.foundation.atomic import sha256
from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from pipeline.checkpoints.saving import save_network
from pipeline.convert import onnx2tf_baseline
from pipeline.export.float_onnx import export_float
from pipeline.networks.build import build_network
from pipeline.stages import onnx2tf_beside, onnx2tf_conversion, report
from pipeline.stages.deployment import Choice


@pytest.fixture(scope="module")
def float_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("float")
    spec = load_model("convtasnet")
    spec = spec.model_copy(update={"network": spec.network.model_copy(update={"n_blocks": 2, "n_repeats": 1})})
    save_network(build_network(spec), folder / "float.safetensors", {})
    return export_float(spec, folder / "float.safetensors", folder / "float.onnx", 3232)


def test_missing_environment_names_the_command(tmp_path: Path, float_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx2tf_baseline, "PYTHON", tmp_path / "nowhere")
    with pytest.raises(UserError, match="make onnx2tf"):
        onnx2tf_baseline.convert_with_onnx2tf(float_onnx, tmp_path / "out.tflite")
    assert not (tmp_path / "out.tflite").exists()


def test_a_refusal_is_a_fact_of_the_report_and_an_error_of_the_target(
    tmp_path: Path, float_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho Traceback >&2\necho "TypeError: no LSTM of this kind" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(onnx2tf_baseline, "PYTHON", python)
    settings, inputs = {"int8": False, "segment_samples": 3232}, {"float": float_onnx.parent}
    with pytest.raises(onnx2tf_baseline.ConversionRefusedError, match=r"exit code 1.*\n.*\nTypeError: no LSTM"):
        onnx2tf_conversion.run(tmp_path, settings, inputs)
    onnx2tf_beside.run(tmp_path, settings, inputs)
    assert [path.name for path in (tmp_path / "beside").iterdir()] == ["refusal.txt"]
    found = ("float", "fake", "onnx", "tflite", "evaluation", "beside-ptq")
    choice = Choice.of("convtasnet", "tflite-int8", "full", "", "", "")
    settings = {
        "target": choice.target.model_dump(),
        "spec": choice.spec.model_dump(),
        "model": "convtasnet",
        "profile": "full",
        "command": "make deploy",
    }
    config = report.judge_config(settings, {**dict.fromkeys(found, tmp_path / "other"), "beside-onnx2tf": tmp_path})
    assert config["refused"] == {"onnx2tf int8": "TypeError: no LSTM of this kind"}
    assert [stage["name"] for stage in config["stages"] if stage.get("beside")] == ["ptq"]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("kill -9 $$", "exit code -9"),
        ("echo 'OSError: [Errno 28] No space left on device' >&2; echo '(core dumped)' >&2; exit 1", "No space left"),
    ],
    ids=["killed", "disk full"],
)
def test_an_onnx2tf_that_the_machine_ended_refuses_nothing(
    program: str, told: str, tmp_path: Path, float_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr(onnx2tf_baseline, "PYTHON", python)
    with pytest.raises(UserError, match=told) as raised:
        onnx2tf_beside.run(tmp_path, {"int8": False, "segment_samples": 3232}, {"float": float_onnx.parent})
    assert not isinstance(raised.value, onnx2tf_baseline.ConversionRefusedError) and not (tmp_path / "beside" / "refusal.txt").exists()


@pytest.mark.slow
def test_float_and_post_training_files(tmp_path: Path, float_onnx: Path) -> None:
    subprocess.run(["make", "onnx2tf"], cwd=onnx2tf_baseline.ROOT, check=True)
    before = sha256(float_onnx)
    mixtures = np.random.default_rng(0).normal(0, 0.2, (8, 3232)).astype(np.float32)
    expected = onnxruntime.InferenceSession(float_onnx.read_bytes()).run(None, {"mixture": mixtures[:1]})[0]
    plain = onnx2tf_baseline.convert_with_onnx2tf(float_onnx, tmp_path / "float.tflite")
    quantized = onnx2tf_baseline.convert_with_onnx2tf(float_onnx, tmp_path / "int8.tflite", mixtures)
    assert sha256(float_onnx) == before
    interpreter = Interpreter(str(plain))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], mixtures[:1])
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).transpose(0, 2, 1)
    assert 10 * np.log10(np.square(expected).sum() / np.square(result - expected).sum()) > 100
    interpreter = Interpreter(str(quantized))
    interpreter.allocate_tensors()
    types = Counter(np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details())
    assert types["int8"] > 10 * types["float32"]


@pytest.mark.slow
def test_a_file_that_only_tensorflow_runs_is_refused(tmp_path: Path) -> None:
    subprocess.run(["make", "onnx2tf"], cwd=onnx2tf_baseline.ROOT, check=True)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("mixture", "output")]
    graph = helper.make_graph([helper.make_node("Erf", ["mixture"], ["output"])], "erf", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "erf.onnx")
    with pytest.raises(onnx2tf_baseline.ConversionRefusedError, match=r"needs TensorFlow itself, which no device has, for FlexErf$"):
        onnx2tf_baseline.convert_with_onnx2tf(tmp_path / "erf.onnx", tmp_path / "erf.tflite")
    assert not (tmp_path / "erf.tflite").exists()
