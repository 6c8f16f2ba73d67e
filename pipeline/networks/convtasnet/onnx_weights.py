"""Weights of a Conv-TasNet that somebody exported from Asteroid to ONNX, and a check that our network computes what the file does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from export_specs.foundation.errors import UserError

COMPARED_FRAMES = 200
TOLERANCE = 1e-3


def read_onnx_state(path: Path) -> dict[str, Tensor]:
    """The state_dict, in Asteroid's names, of a Conv-TasNet exported by torch.

    Weights keep their names in such a file. The slopes of the PReLUs do not: they are named after their nodes, which carry
    the module's place. The residual convolution of the last block is not in the file, because nothing uses its result; it
    becomes zeros.

    Raises:
        UserError: not an ONNX file, or one without the weights of a Conv-TasNet.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's kinds share no base class but this one
        raise UserError(f"{path} cannot be read as ONNX ({error}); is it whole?") from error
    try:
        return _state(model, path)
    except (TypeError, ValueError, KeyError, IndexError) as error:  # what names, shapes and types of other networks lead to
        raise UserError(f"{path} is not a Conv-TasNet exported from Asteroid ({error})") from error


def _state(model: onnx.ModelProto, path: Path) -> dict[str, Tensor]:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    state = {name: _tensor(tensors[name]) for name in tensors if name.startswith(("encoder.", "masker.", "decoder."))}
    if not state:
        raise UserError(f"{path} holds no weights named encoder.*, masker.*, decoder.*: it is not a Conv-TasNet exported from Asteroid")
    for node in model.graph.node:
        if node.op_type == "PRelu" and node.input[1] in tensors:
            state[f"{_module_name(node.name)}.weight"] = _tensor(tensors[node.input[1]]).reshape(-1)
    blocks = [int(found[1]) for key in state if (found := re.match(r"masker\.TCN\.(\d+)\.shared_block\.0\.weight$", key))]
    if blocks:
        last = f"masker.TCN.{max(blocks)}"
        hidden, bottleneck, _ = state[f"{last}.shared_block.0.weight"].shape
        state.setdefault(f"{last}.res_conv.weight", torch.zeros(bottleneck, hidden, 1))
        state.setdefault(f"{last}.res_conv.bias", torch.zeros(bottleneck))
    return state


def check_against_onnx(network: nn.Module, path: Path, kernel_size: int, stride: int) -> None:
    """Compare a network that has a file's weights with the file, on noise: stride, dilations and activations are no weights.

    Args:
        network: mixture [1, T] to sources [1, S, T].
        kernel_size, stride: of the network's encoder, in samples; they choose T where the file leaves it open.

    Raises:
        UserError: the file does not run, takes another input, or computes something else.
    """
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        samples = source.shape[-1] if isinstance(source.shape[-1], int) else kernel_size + COMPARED_FRAMES * stride
        noise = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
        expected = session.run(None, {source.name: noise.reshape([1] * len(source.shape[:-1]) + [samples])})[0]
    except Exception as error:  # nor do ONNX Runtime's
        raise UserError(f"{path} does not run as a network from mixture to sources ({str(error).splitlines()[0]})") from error
    with torch.no_grad():
        ours = network.eval()(torch.from_numpy(noise)[None]).numpy()
    if expected.size != ours.size:
        shapes = f"{list(expected.shape)} of {samples} samples, the spec's network {list(ours.shape)}"
        raise UserError(f"{path} makes {shapes}: n_src or stride differ")
    difference = float(np.abs(expected.reshape(ours.shape) - ours).max() / np.abs(expected).max().clip(min=1e-9))
    if not difference <= TOLERANCE:
        raise UserError(
            f"the spec's network has the weights of {path} but computes something else (by {difference:.2g} of the peak); "
            "compare stride, causal, mask_act and encoder_act of the spec with the file"
        )


def _tensor(proto: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(numpy_helper.to_array(proto).copy())


def _module_name(node: str) -> str:
    """Of a node's name, say ``/masker/TCN.0/shared_block/shared_block.1/PRelu`` to ``masker.TCN.0.shared_block.1``."""
    scopes = node.strip("/").split("/")[:-1]
    if not scopes:
        raise ValueError(f"the node '{node}' does not say which layer it is of")
    return ".".join(scope for scope, inner in zip(scopes, [*scopes[1:], ""], strict=True) if not inner.startswith(f"{scope}."))
