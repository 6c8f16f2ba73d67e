"""Weights in an ONNX file that somebody exported by torch, and a check that our network computes what the file does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import NodeProto, numpy_helper
from torch import nn

from export_specs.foundation.errors import UserError
from export_specs.networks import FilterbankSpec
from export_specs.schema import ModelSpec
from pipeline.checkpoints.content import Content, content_of

COMPARED_FRAMES = 200
TOLERANCE = 1e-3


def read_onnx_content(path: Path) -> Content:
    """The constants of an ONNX file by their names, which torch's exporter takes from the modules, and the file's metadata.

    The slopes of PReLUs lose their names in such a file. They get the name of the layer that their node is of; an exporter that does
    not write it into the node (before torch 1.13) leaves that to be seen from the convolution before or after.

    Raises:
        UserError: not an ONNX file.
    """
    try:
        model = onnx.load(path)
        graph = model.graph
        tensors = {proto.name: torch.from_numpy(numpy_helper.to_array(proto).copy()) for proto in graph.initializer}
    except Exception as error:  # protobuf's kinds share no base class but this one
        raise UserError(f"{path} cannot be read as ONNX ({(str(error).splitlines() or ['?'])[0]}); is it whole?") from error
    made_by = {output: node for node in graph.node for output in node.output}
    read_by = {name: node for node in graph.node for name in node.input}
    nameless = 0
    for node in graph.node:
        if node.op_type == "PRelu" and node.input[1] in tensors:
            layer = _layer_of_name(node.name) or _layer_of_neighbours(node, made_by, read_by)
            nameless += layer is None
            tensors[f"{layer or node.name}.weight"] = tensors[node.input[1]].reshape(-1)
    told = content_of({entry.key: entry.value for entry in model.metadata_props}).told
    silence = f"which layers {nameless} of its PReLU slopes are of (exported by torch before 1.13? Export it again)" if nameless else ""
    return Content(tensors, told, silence)


def check_against_onnx(network: nn.Module, path: Path, spec: ModelSpec) -> None:
    """Compare a network that has a file's weights with the file, on noise: stride, dilations and activations are no weights.

    Args:
        network: mixture [1, T] or [1, A, T] to sources [1, S, T] or [1, S, A, T].

    Raises:
        UserError: the file does not run, takes another input, or computes something else.
    """
    net = spec.network
    shortest = net.kernel_size + COMPARED_FRAMES * net.stride if isinstance(net, FilterbankSpec) else spec.segment_samples
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        samples = source.shape[-1] if isinstance(source.shape[-1], int) else shortest
        waveform = [samples] if spec.audio_channels == 1 else [spec.audio_channels, samples]
        noise = np.random.default_rng(0).normal(0, 0.1, waveform).astype(np.float32)
        expected = session.run(None, {source.name: noise.reshape([1] * (len(source.shape) - len(waveform)) + waveform)})[0]
    except Exception as error:  # nor do ONNX Runtime's
        raise UserError(f"{path} does not run as a network from mixture to sources ({str(error).splitlines()[0]})") from error
    with torch.no_grad():
        ours = network.eval()(torch.from_numpy(noise[None])).numpy()
    if expected.size != ours.size:
        shapes = f"{list(expected.shape)} of {samples} samples, the spec's network {list(ours.shape)}"
        raise UserError(f"{path} makes {shapes}: n_src or stride differ")
    difference = float(np.abs(expected.reshape(ours.shape) - ours).max() / np.abs(expected).max().clip(min=1e-9))
    if not difference <= TOLERANCE:
        raise UserError(
            f"the spec's network has the weights of {path} but computes something else (by {difference:.2g} of the peak); "
            "compare stride, causal, mask_act and encoder_act of the spec with the file"
        )


def _layer_of_name(node: str) -> str | None:
    """Of a node's name, say ``/masker/TCN.0/shared_block/shared_block.1/PRelu``, the layer ``masker.TCN.0.shared_block.1``."""
    scopes = node.strip("/").split("/")
    return ".".join(scope for scope, below in pairwise(scopes) if not below.startswith(f"{scope}.")) or None


def _layer_of_neighbours(node: NodeProto, made_by: dict[str, NodeProto], read_by: dict[str, NodeProto]) -> str | None:
    """The layer after the convolution that makes a node's input, or before the one that reads its output: layers are numbered."""
    for neighbour, step in ((made_by.get(node.input[0]), 1), (read_by.get(node.output[0]), -1)):
        if neighbour is not None and neighbour.op_type == "Conv":
            layer, _, number = neighbour.input[1].removesuffix(".weight").rpartition(".")
            if number.isdecimal():
                return f"{layer}.{int(number) + step}"
    return None
