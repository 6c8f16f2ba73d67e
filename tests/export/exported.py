"""An exported small network with its twin in torch, and what compares the two tensor by tensor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from export_specs.file_metadata import FileMetadata
from pipeline.export.tensor_names import tensor_names
from pipeline.layers.prelu.quantized import QuantizedPrelu
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer
from pipeline.quantization.recipe import Recipe
from pipeline.quantization.trace import trace
from tests.tiny import (
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
