"""The exported graph on onnxruntime against the fake-quantized network in torch, tensor by tensor."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from export_specs.file_metadata import FileMetadata, read_metadata
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from pipeline.export.qdq import build_model, export_qdq
from pipeline.export.tensor_names import tensor_names
from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm
from pipeline.layers.prelu.quantized import QuantizedPrelu
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from pipeline.quantization.quantize import quantize
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace
from tests.tiny import (
    RECIPES,
    mixtures,
    quantized_network,
    recipe_name,
    tiny_dptnet,
    tiny_music_spec,
    tiny_network,
    tiny_sepformer,
    tiny_spec,
    waveforms,
)

NAMES = Path(__file__).with_name("tensor_names.json")
SAMPLES = 800
METADATA = FileMetadata.of(tiny_spec(), target="t", spec_sha256="a" * 64, checkpoint_sha256="b" * 64)


@dataclass
class Exported:
    recipe: Recipe
    network: nn.Module
    model: onnx.ModelProto

    def initializers(self) -> dict[str, np.ndarray]:
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}


@pytest.fixture(scope="module", params=RECIPES, ids=recipe_name)
def exported(request: pytest.FixtureRequest) -> Exported:
    torch.compiler.set_stance("force_eager")
    network = quantized_network(tiny_spec(), request.param)
    return Exported(request.param, network, build_model(network, METADATA))


def named_layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers by the names that their tensors have, and the modules in them."""
    layers = {str(node.target) for node in trace(network).nodes if node.op == "call_module"}  # type: ignore[arg-type]
    names = tensor_names(layers)
    return [
        (name + path[len(layer) :], module)
        for path, module in network.named_modules()
        for layer, name in names.items()
        if path == layer or path.startswith(f"{layer}.")
    ]


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def quantized_tensors(model: onnx.ModelProto, kind: int) -> list[str]:
    """Outputs of QuantizeLinear with codes of a type, in graph order."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear" and constants[node.input[2]].data_type == kind]


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def with_golden_inputs(model: onnx.ModelProto, tensors: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The graph cut at every tensor given: it becomes an input, and what the graph computes for it the output ``.../computed``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        name = node.output[0]
        if name in tensors:
            node.output[0] = f"{name}/computed"
            copy.graph.input.append(onnx.helper.make_tensor_value_info(name, TensorProto.INT8, tensors[name].shape))
            copy.graph.output.append(onnx.ValueInfoProto(name=f"{name}/computed"))
    return copy


def tensor_of(layer: str, quantizer: str, variant: str) -> str:
    """The ONNX name of what a quantizer of a layer writes."""
    if layer == "decoder" and quantizer == "output_quantizer" and variant == "vanilla":
        return "decoder/byte"
    suffix = {
        "output_quantizer": "",
        "input_quantizer": ".in",
        "centred_quantizer": "/diff",
        "logits_quantizer": "/logits",
        "weights_quantizer": "/weights",
        "high_quantizer": "/high",
        "correction_quantizer": "/correction",
    }
    return layer + suffix[quantizer]


def torch_codes(exported: Exported, pcm: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """int8 codes [1, C, T] of every quantizer by ONNX name, one entry a call, and the int16 outputs [1, S, T]."""
    codes: dict[str, np.ndarray] = {}
    calls: Counter[str] = Counter()
    hooks = []
    named = dict(named_layers(exported.network))
    for path, module in named.items():
        if not isinstance(module, ActivationQuantizer | FixedQuantizer) or path.endswith("table_quantizer"):  # of a constant
            continue

        def record(quantizer: nn.Module, _: object, output: torch.Tensor, path: str = path) -> None:
            layer, _, kind = path.rpartition(".")
            scale, zero_point = (float(value) for value in quantizer.grid())  # type: ignore[operator]
            if isinstance(named[layer], QuantizedPrelu):
                name = layer if calls[path] else f"{layer}.in"  # one grid for both
            else:
                call = f"{layer}#{calls[path]}" if calls[path] else layer
                name = tensor_of(layer, kind, exported.recipe.variant).replace(layer, call, 1)
            calls[path] += 1
            values = output.detach().double().numpy() / scale + zero_point
            np.testing.assert_allclose(values, np.rint(values), atol=1e-3)
            if values.ndim == 5:  # of an attention, [1, N, heads, L, L]
                codes.update({f"{name}{head}": np.rint(values[:, :, head]) for head in range(values.shape[2])})
                return
            values = values.reshape(1, -1, values.shape[-1]) if values.ndim == 4 else values  # chunks are a chain of frames
            is_waveform = values.shape[-1] == pcm.shape[-1]  # [B, T] or [B, A, T]; features are [B, T, C]
            if kind in ("high_quantizer", "correction_quantizer"):  # frames of samples
                frames = values.reshape(*pcm.shape[:-1], -1, int(named[layer].stride))  # type: ignore[arg-type]
                values = frames.swapaxes(-2, -1).reshape(1, -1, frames.shape[-2])
            else:
                values = values.reshape(1, -1, pcm.shape[-1]) if is_waveform else values.transpose(0, 2, 1)
            codes[name] = np.rint(values).astype(np.int64)

        hooks.append(module.register_forward_hook(record))
    with torch.no_grad():
        output = exported.network(torch.from_numpy(pcm / 32768).float()).double().numpy()
    for hook in hooks:
        hook.remove()
    return codes, np.clip(np.rint(output * 32768), -32768, 32767)


def recordings() -> list[np.ndarray]:
    """int16 [1, T]: noise at the level the device brings it to, full scale, and silence."""
    loud = np.rint(waveforms(3, SAMPLES, 77).numpy() * 32768).astype(np.int16)
    extremes = np.random.default_rng(0).choice(np.array([-32768, 32767], np.int16), (1, SAMPLES))
    return [*loud[:, None], extremes, np.zeros((1, SAMPLES), np.int16)]


def golden_differences(exported: Exported, clips: list[np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """|onnxruntime - torch| in codes of every int8 tensor, where every op reads torch's codes, so that its own result alone is judged."""
    differences: dict[str, list[np.ndarray]] = {}
    inner = None
    for pcm in recordings() if clips is None else clips:
        expected, _ = torch_codes(exported, pcm)
        inner = inner or session(with_golden_inputs(exported.model, expected))
        feeds = {"pcm": pcm, **{name: codes.astype(np.int8) for name, codes in expected.items()}}
        actual = inner.run([f"{name}/computed" for name in expected], feeds)
        for codes, (name, wanted) in zip(actual, expected.items(), strict=True):
            differences.setdefault(name, []).append(np.abs(codes.astype(np.int64) - wanted).ravel())
    return {name: np.concatenate(values) for name, values in differences.items()}


def assert_equal_but_for_ties(differences: dict[str, np.ndarray]) -> None:
    """At least 99.9 % of all codes equal, none off by more than 1."""
    assert max(difference.max() for difference in differences.values()) <= 1
    assert (np.concatenate(list(differences.values())) > 0).mean() <= 0.001


def test_every_int8_tensor_equals_that_of_torch_given_golden_inputs(exported: Exported) -> None:
    differences = golden_differences(exported)
    assert_equal_but_for_ties(differences)
    inside_norms = ("/mean8", "/energy", "/var8", "/variance8", "/rstd", "/centre")
    names = quantized_tensors(exported.model, TensorProto.INT8)
    compared_with_nothing = {name for name in names if name not in differences and not name.endswith(inside_norms)}
    assert not compared_with_nothing


def test_the_whole_network_equals_torch(exported: Exported) -> None:
    """From the waveform to the waveform, where a difference travels on: one tie in one of the recordings may."""
    inner = session(exported.model)
    unequal = 0
    for pcm in recordings():
        separated, expected = inner.run(None, {"pcm": pcm})[0], torch_codes(exported, pcm)[1]
        difference = np.abs(separated - expected)
        assert np.square(difference).sum() <= 10**-3.5 * np.square(expected).sum()
        unequal += (difference > 0).mean() > 0.002
    assert unequal <= 1


def test_norm_statistics_equal_those_of_torch(exported: Exported) -> None:
    norms = {name: module for name, module in named_layers(exported.network) if isinstance(module, RuntimeFilterNorm)}
    if not norms:
        pytest.skip("the recipe keeps its statistics in int16")
    recorded: dict[str, tuple[float, float]] = {}
    for name, norm in norms.items():

        def record(moments: object, c: object, norm: RuntimeFilterNorm = norm, name: str = name) -> tuple[torch.Tensor, torch.Tensor]:
            result = type(norm).statistics(norm, moments, c)  # type: ignore[arg-type]
            recorded[name] = (float(result[0]), float(result[1]))
            return result

        norm.statistics = record  # type: ignore[method-assign,assignment]
    outputs = [f"{name}/{kind}" for name in norms for kind in ("m_all", "rstd")]
    inner = session(with_outputs(exported.model, outputs))
    for pcm in recordings():
        torch_codes(exported, pcm)
        actual = dict(zip(["separated", *outputs], inner.run(None, {"pcm": pcm}), strict=True))
        for name, (mean, rstd) in recorded.items():
            assert int(actual[f"{name}/m_all"].item()) == mean
            assert int(actual[f"{name}/rstd"].item()) == rstd
    for norm in norms.values():
        del norm.statistics  # the method of the class again


def test_scales_and_zero_points_are_those_of_the_quantizers(exported: Exported) -> None:
    constants = exported.initializers()
    names = set(quantized_tensors(exported.model, TensorProto.INT8))
    checked = 0
    for path, module in named_layers(exported.network):
        layer, _, kind = path.rpartition(".")
        if isinstance(module, ActivationQuantizer | FixedQuantizer):
            first = tensor_of(layer, kind, exported.recipe.variant)
            for name in (first, first.replace(layer, f"{layer}#1", 1)):
                if name in names:
                    scale, zero_point = module.grid()
                    assert constants[f"{name}/scale"] == np.float32(scale.item()), name
                    assert constants[f"{name}/zero_point"] == int(zero_point), name
                    assert constants[f"{name}/zero_point"].dtype == np.int8
                    checked += 1
        elif isinstance(module, WeightQuantizer):
            weight = f"{layer}.weight"
            if weight in constants:
                scales = constants[f"{weight}/scale"]
                per_channel = len(scales) // len(module.range)  # a decoder's frames have an output for each sample
                np.testing.assert_array_equal(scales, np.repeat(module.scale().numpy(), per_channel))
                assert not constants[f"{weight}/zero_point"].any()
                assert constants[weight].dtype == np.int8
                assert constants[weight].min() >= -127
                checked += 1
    assert checked > 25


def test_biases_have_the_scale_of_their_products(exported: Exported) -> None:
    constants = exported.initializers()
    producers = {node.output[0]: node for node in exported.model.graph.node}
    convolutions = [node for node in exported.model.graph.node if node.op_type == "Conv" and len(node.input) == 3]
    assert convolutions
    for node in convolutions:
        x, weight, bias = (producers[name] for name in node.input)
        scales = [constants[edge.input[1]].astype(np.float64) for edge in (x, weight, bias)]
        np.testing.assert_allclose(scales[2], scales[0] * scales[1], rtol=1e-6)
        if bias.input[0] in constants:
            assert constants[bias.input[0]].dtype == np.int32


def test_initializers_are_integers_but_for_scales(exported: Exported) -> None:
    scales = {node.input[1] for node in exported.model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    for tensor in exported.model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            assert tensor.name in scales, tensor.name
            assert (numpy_helper.to_array(tensor) > 0).all()
        else:
            assert tensor.data_type in (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64), tensor.name


def test_float_stands_only_between_dequantize_and_quantize(exported: Exported) -> None:
    """Every float edge but inside an op's own pair comes from DequantizeLinear, an activation, or feeds a QuantizeLinear."""
    graph = exported.model.graph
    integer_ops = {"Cast", "Concat", "Slice", "Reshape", "Div", "Min", "QuantizeLinear", "DequantizeLinear"}
    kinds = {info.name: info.type.tensor_type.elem_type for info in onnx.shape_inference.infer_shapes(exported.model).graph.value_info}
    for node in graph.node:
        if kinds.get(node.output[0]) == TensorProto.FLOAT and node.op_type != "DequantizeLinear":
            assert node.op_type not in integer_ops, node.name
            readers = [other for other in graph.node if node.output[0] in other.input]
            assert len(readers) == 1, node.name
            assert readers[0].op_type in ("QuantizeLinear", "Relu", "Sigmoid", "Reciprocal"), node.name


def test_inputs_outputs_and_metadata(exported: Exported) -> None:
    def described(info: onnx.ValueInfoProto) -> tuple[str, int, list[int]]:
        return info.name, info.type.tensor_type.elem_type, [dim.dim_value for dim in info.type.tensor_type.shape.dim]

    assert [described(info) for info in exported.model.graph.input] == [("pcm", TensorProto.INT16, [1, SAMPLES])]
    assert [described(info) for info in exported.model.graph.output] == [("separated", TensorProto.INT16, [1, 2, SAMPLES])]
    (entry,) = exported.model.metadata_props
    metadata = read_metadata(entry.value, "the file")
    assert (entry.key, metadata.model_copy(update={"layouts": {}})) == ("fqss", METADATA)
    shapes = {
        info.name: len(info.type.tensor_type.shape.dim) for info in onnx.shape_inference.infer_shapes(exported.model).graph.value_info
    }
    reshaped = {node.output[0] for node in exported.model.graph.node if node.op_type == "Reshape"}
    assert reshaped | {"pcm"} <= metadata.layouts.keys()
    assert {shapes[name] for name, layout in metadata.layouts.items() if layout is Layout.FRAMES} == {3}
    assert [(item.domain, item.version) for item in exported.model.opset_import] == [("", 21)]


def test_tensor_names_are_stable(exported: Exported) -> None:
    """Judge and reports match tensors by name. After a wanted change, write the new names into ``tensor_names.json``."""
    names = [node.output[0] for node in exported.model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(set(names)) == len(names)
    assert names == json.loads(NAMES.read_text())[recipe_name(exported.recipe)]


def test_another_segment_length_changes_no_constant(exported: Exported) -> None:
    longer = build_model(exported.network, METADATA.model_copy(update={"segment_samples": 1600}))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in longer.graph.initializer}
    for name, value in exported.initializers().items():
        if not name.startswith("shape_"):
            np.testing.assert_array_equal(value, constants[name], err_msg=name)
    assert session(longer).run(None, {"pcm": np.zeros((1, 1600), np.int16)})[0].shape == (1, 2, 1600)


def test_two_exports_are_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    for name in "ab":
        export_qdq(exported.network, METADATA, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_act": "relu"},
        {"kernel_size": 10, "stride": 5, "conv_kernel_size": 5},
        {"n_src": 1},
        {"n_src": 3},
        {"n_repeats": 2},
        {"mask_act": "sigmoid"},
        {"causal": True},
    ],
    ids=str,
)
def test_other_networks_equal_torch_too(changes: dict[str, int]) -> None:
    spec = tiny_spec(**changes)  # type: ignore[arg-type]
    twin = quantized_network(spec, RECIPES[0])
    assert_equal_but_for_ties(golden_differences(Exported(RECIPES[0], twin, build_model(twin, METADATA))))


@pytest.mark.parametrize(
    "recipe", [Recipe("fqss", "scalar-gain"), Recipe("vanilla", "runtime-filter"), Recipe("fqss", "int16-elementwise")], ids=recipe_name
)
def test_transformers_equal_torch_too(recipe: Recipe) -> None:
    twin = quantized_network(tiny_sepformer(), recipe)
    differences = golden_differences(Exported(recipe, twin, build_model(twin, METADATA)))
    assert_equal_but_for_ties(differences)
    first, last = "masknet.dual_mdl.0.intra_mdl", "masknet.dual_mdl.1.inter_mdl.mdl.layers.self_att.heads"
    sequences = {f"{first}.pos_enc", last, f"{last}/logits2", f"{first}.mdl.layers.self_att.heads/weights0", "masknet.merge#1"}
    assert sequences <= differences.keys()


@pytest.mark.parametrize("recipe", [Recipe("fqss", "scalar-gain"), Recipe("vanilla", "runtime-filter")], ids=recipe_name)
def test_recurrent_networks_equal_torch_too(recipe: Recipe) -> None:
    twin = quantized_network(tiny_dptnet(), recipe)
    differences = golden_differences(Exported(recipe, twin, build_model(twin, METADATA)))
    assert_equal_but_for_ties(differences)
    row, column = "separator.DPT.row_transformer.0", "separator.DPT.col_transformer.1.transformer"
    norm = {f"{row}.norm1.normalised", f"{row}.norm1.affine"}
    assert norm | {f"{row}.lstm", f"{column}.lstm", "separator.DPT.output.0.in"} <= differences.keys()


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_stereo_networks_equal_torch_too(recipe: Recipe) -> None:
    spec = tiny_music_spec()
    twin = quantized_network(spec, recipe)
    clips = [np.rint(mixtures(spec, 1, seed).numpy() * 32768).clip(-32768, 32767).astype(np.int16) for seed in (76, 77, 78)]
    exported = Exported(recipe, twin, build_model(twin, FileMetadata.of(spec)))
    assert_equal_but_for_ties(golden_differences(exported, clips))


def test_a_layer_without_integer_form_is_refused_by_name() -> None:
    network = tiny_network(tiny_spec())
    network.masker.bottleneck[0] = nn.Hardswish()  # type: ignore[union-attr,index]
    with pytest.raises(
        UserError, match=r"layer masker\.bottleneck\.0 \(Hardswish\) has no integer form yet: it computes 'hardswish' itself"
    ):
        quantize(network, RECIPES[0])
