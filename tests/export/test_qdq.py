"""The form of the exported graph: types, scales, names, ends and metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from torch import nn

from export_specs.file_metadata import read_metadata
from export_specs.foundation.errors import UserError
from export_specs.layout import Layout
from pipeline.export.qdq import build_model, export_qdq
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WeightQuantizer
from pipeline.quantization.quantize import quantize
from tests.export.exported import (
    METADATA,
    NAMES,
    SAMPLES,
    Exported,
    named_layers,
    quantized_tensors,
    session,
    tensor_of,
)
from tests.tiny import (
    RECIPES,
    recipe_name,
    tiny_network,
    tiny_spec,
)


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
        if not name.startswith("shape_") and "/ones_in_a_row_" not in name:  # these are called by their lengths
            np.testing.assert_array_equal(value, constants[name], err_msg=name)
    assert session(longer).run(None, {"pcm": np.zeros((1, 1600), np.int16)})[0].shape == (1, 2, 1600)


def test_two_exports_are_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    for name in "ab":
        export_qdq(exported.network, METADATA, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_layer_without_integer_form_is_refused_by_name() -> None:
    network = tiny_network(tiny_spec())
    network.masker.bottleneck[0] = nn.Hardswish()  # type: ignore[union-attr,index]
    with pytest.raises(
        UserError, match=r"layer masker\.bottleneck\.0 \(Hardswish\) has no integer form yet: it computes 'hardswish' itself"
    ):
        quantize(network, RECIPES[0])
