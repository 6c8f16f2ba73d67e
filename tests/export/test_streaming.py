"""The streaming graph against the graph of a whole segment, sample for sample, on LiteRT's reference kernels; and what cannot stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import helper, numpy_helper

from export_specs.file_metadata import FileMetadata, Streaming, StreamState, metadata_of_onnx
from export_specs.foundation.errors import UserError
from export_specs.load import load_target
from export_specs.schema import ModelSpec
from pipeline.convert.convert import convert
from pipeline.convert.ops import DECLARATIONS
from pipeline.export.qdq import build_model
from pipeline.export.streaming.rewrite import ELEMENTWISE, to_streaming
from pipeline.quantization.recipe import Recipe
from tests.tiny import quantized_network, tiny_spec

KERNEL, STRIDE = 16, 8
LOOKBACK = KERNEL - STRIDE
SPEC = tiny_spec(causal=True, n_blocks=4, mask_act="sigmoid")  # dilations 1, 2, 4 and 8
RECIPE = Recipe("fqss", "scalar-gain")


def whole_model(spec: ModelSpec) -> onnx.ModelProto:
    torch.compiler.set_stance("force_eager")
    return build_model(quantized_network(spec, RECIPE), FileMetadata.of(spec))


def opened(model: onnx.ModelProto, folder: Path) -> Interpreter:
    onnx.save(model, folder / "model.onnx")
    convert(folder / "model.onnx", folder / "model.tflite", load_target("tflite-int8").allowed_ops)
    path = str(folder / "model.tflite")
    interpreter = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def streaming_of(model: onnx.ModelProto) -> Streaming:
    metadata = metadata_of_onnx({item.key: item.value for item in model.metadata_props}, "model")
    assert metadata is not None and metadata.streaming is not None
    return metadata.streaming


class Host:
    """A plain host: of a line it keeps every frame that ever was, and looks them up."""

    def __init__(self, interpreter: Interpreter, states: tuple[StreamState, ...], initial: dict[str, int]) -> None:
        self._interpreter, self._states = interpreter, states
        self._inputs = {item["name"]: item for item in interpreter.get_input_details()}
        self._outputs = {item["name"]: item["index"] for item in interpreter.get_output_details()}
        self._now = {}
        self._ever: dict[str, np.ndarray] = {}
        for state in states:
            code = initial.get(state.input, state.initial)
            if state.kind == "shift":
                self._now[state.input] = np.full(self._inputs[state.input]["shape"], code, state.dtype)
            else:
                longest = max(other.delay for other in states if other.output == state.output)
                self._ever[state.output] = np.full((1, longest, 1, state.channels), code, state.dtype)

    def step(self, pcm: np.ndarray) -> np.ndarray:
        for state in self._states:
            if state.kind == "line":
                ever = self._ever[state.output]
                first = ever.shape[1] - state.delay
                self._now[state.input] = ever[:, first : first + state.frames]
        for name, value in {"pcm": pcm[None], **self._now}.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], value)
        self._interpreter.invoke()
        results = {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}
        for state in self._states:
            if state.kind == "shift":
                self._now[state.input] = results[state.output]
        self._ever = {name: np.concatenate([ever, results[name]], axis=1) for name, ever in self._ever.items()}
        return results["separated"][0]


@pytest.fixture(scope="module")
def whole() -> onnx.ModelProto:
    return whole_model(SPEC)


@pytest.fixture(scope="module")
def expected(whole: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    return run_whole(whole, tmp_path_factory.mktemp("whole"))


def run_whole(model: onnx.ModelProto, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Loud, soft and silent PCM after a window's silence, and what the whole graph makes of it."""
    random, count = np.random.default_rng(7), SPEC.segment_samples
    noise = np.convolve(random.normal(size=count), np.hanning(9), "same")
    pcm = np.rint(noise / np.abs(noise).max() * 30000).astype(np.int16)
    pcm[count // 2 : count // 2 + 60] //= 256
    pcm[count // 3 : count // 3 + 90] = pcm[:LOOKBACK] = 0
    interpreter = opened(model, folder)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pcm[None])
    interpreter.invoke()
    return pcm, interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def streamed(model: onnx.ModelProto, pcm: np.ndarray, folder: Path, initial: dict[str, int] | None = None, ahead: int = 0) -> np.ndarray:
    """What the steps give, for the samples that do not depend on the end of the whole segment: ``ahead`` frames and the last window."""
    streaming = streaming_of(model)
    host, hop = Host(opened(model, folder), streaming.states, initial or {}), streaming.hop_frames * STRIDE
    steps = [host.step(pcm[start : start + hop]) for start in range(LOOKBACK, len(pcm) - hop + 1, hop)]
    return np.concatenate(steps, axis=1)[:, ahead * STRIDE :][:, : len(pcm) - (1 + ahead) * STRIDE]


@pytest.mark.parametrize("hop", [1, 3, 4, 16])
def test_steps_are_the_whole(hop: int, whole: onnx.ModelProto, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    pcm, want = expected
    model = to_streaming(whole, hop)
    got = streamed(model, pcm, tmp_path)
    assert got.shape[1] > 800 - KERNEL - hop * STRIDE
    assert np.abs(want).max() > 1000  # a quiet network would hide differences
    np.testing.assert_array_equal(got, want[:, : got.shape[1]])
    streaming = streaming_of(model)
    assert streaming.latency_samples == hop * STRIDE + KERNEL - STRIDE
    assert streaming.context_samples == (1 + 1 + 2 * (1 + 2 + 4 + 8) + 1) * STRIDE  # its own frame; encoder, blocks, decoder


def test_another_initial_code_is_not_the_whole(whole: onnx.ModelProto, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    pcm, want = expected
    model = to_streaming(whole, 4)
    wrong = {state.input: 0 for state in streaming_of(model).states if state.initial}
    assert wrong
    got = streamed(model, pcm, tmp_path, wrong)
    differing = (got != want[:, : got.shape[1]]).any(axis=0).nonzero()[0]
    assert len(differing) > 0
    assert differing.max() < streaming_of(model).context_samples  # and it heals when the state has passed


def test_states_of_a_hop(whole: onnx.ModelProto) -> None:
    """Dilations below the hop are kept as windows, the others as delay lines of two taps; the encoder's and decoder's windows."""
    states = streaming_of(to_streaming(whole, 4)).states
    found = [(state.kind, state.delay, state.channels, state.frames, state.dtype) for state in states]
    blocks = [("shift", 0, 20, 2, "int8"), ("shift", 0, 20, 4, "int8")]
    blocks += [("line", delay, 20, 4, "int8") for delay in (8, 4, 16, 8)]
    assert found == [("shift", 0, 1, LOOKBACK, "int16"), *blocks, *[("shift", 0, 24, 1, "int8")] * 2]


def test_a_norm_over_the_segment_cannot_stream() -> None:
    with pytest.raises(UserError, match=r"cannot be streamed: node 'masker\.bottleneck\.0/.*segment|cannot be streamed.*nothing is known"):
        to_streaming(whole_model(tiny_spec()), 4)


def test_a_kernel_that_is_no_multiple_of_the_stride_cannot_stream() -> None:
    spec = tiny_spec(causal=True, kernel_size=20, stride=12)
    with pytest.raises(UserError, match=r"node 'encoder/conv' .*kernel of 20 samples is no multiple of its stride of 12"):
        to_streaming(whole_model(spec), 4)


def test_what_the_converter_takes_element_by_element_can_stream() -> None:
    assert {name for name, declaration in DECLARATIONS.in_graph.items() if declaration.elementwise} <= set(ELEMENTWISE)


def test_unknown_ops_are_refused(whole: onnx.ModelProto) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    node = next(node for node in model.graph.node if node.op_type == "Relu" or node.op_type == "Sigmoid")
    node.op_type = "Exp"
    with pytest.raises(UserError, match=r"\(Exp\): .*nothing is known"):
        to_streaming(model, 4)


@pytest.mark.parametrize(
    ("op", "operand", "attributes", "reason"),
    [
        ("Add", np.ones(99, np.float32), {}, "'operand' differs from frame to frame"),
        ("ReduceMean", np.array([2]), {"keepdims": 1}, "over all frames of a segment"),
        ("ReduceMean", np.array([1]), {"keepdims": 0}, "drops an axis"),
    ],
)
def test_what_looks_across_time_is_refused(op: str, operand: np.ndarray, attributes: dict[str, int], reason: str) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(whole_model(SPEC))
    place, conv = next((place, node) for place, node in enumerate(model.graph.node) if node.output[0] == "masker.bottleneck.1/conv")
    model.graph.initializer.append(numpy_helper.from_array(operand, "operand"))
    model.graph.node.insert(place + 1, helper.make_node(op, [conv.output[0], "operand"], ["across"], **attributes))
    with pytest.raises(UserError, match=rf"node 'across' \({op}\): .*{reason}"):
        to_streaming(model, 4)


@pytest.mark.parametrize(("blocks", "hop"), [(1, 1), (1, 4), (3, 4), (3, 16), (4, 2)])
def test_a_look_ahead_is_waited_for(blocks: int, hop: int, tmp_path: Path) -> None:
    """What a step has from before the first frame is made 0, which the whole graph pads with."""
    spec = ModelSpec.model_validate({**SPEC.model_dump(), "network": {**SPEC.network.model_dump(), "lookahead_blocks": blocks}})
    model, ahead = whole_model(spec), 2**blocks - 1
    pcm, want = run_whole(model, tmp_path)
    stream = to_streaming(model, hop)
    got = streamed(stream, pcm, tmp_path, ahead=ahead)
    assert got.shape[1] > 800 - KERNEL - (hop + ahead) * STRIDE
    np.testing.assert_array_equal(got, want[:, : got.shape[1]])
    assert streaming_of(stream).latency_samples == (hop + ahead) * STRIDE + KERNEL - STRIDE
