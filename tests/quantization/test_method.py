"""Every setting of the method changes what it says, and nothing of the two named points."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from export_specs.file_metadata import FileMetadata
from export_specs.foundation.errors import UserError
from export_specs.load import load_model
from export_specs.method import METHODS, Method
from export_specs.schema import ModelSpec
from pipeline.export.qdq import build_model
from pipeline.layers.branch_ends.quantized import Int16Convolution, Int16Upsampling
from pipeline.layers.decoder.quantized import ByteDecoder, Int16Decoder, ReconstructingDecoder
from pipeline.layers.encoder.float import Encoder
from pipeline.layers.encoder.quantized import ByteEncoder, Int16Encoder, SplitEncoder
from pipeline.quantization.bypass import leave_float
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, tiny_htdemucs, tiny_network, tiny_spec


def recipe(**changes: Any) -> Recipe:
    return Recipe("fqss", "scalar-gain", Method(**changes))


def ends(network: nn.Module) -> set[type[nn.Module]]:
    kinds = (SplitEncoder, ByteEncoder, Int16Encoder, ReconstructingDecoder, ByteDecoder, Int16Decoder, Int16Convolution, Int16Upsampling)
    return {type(layer) for layer in network.modules() if type(layer) in kinds}


def test_the_named_points_are_what_they_were() -> None:
    assert METHODS["fqss"] == Method(input="split", output="rqb", kd_lambda=0.1, gamma_max=10.0)
    assert METHODS["vanilla"] == Method(input="byte", output="byte", kd_lambda=0)
    assert Recipe("vanilla", "scalar-gain").settings() == {"variant": "vanilla", "norm": "scalar-gain"}
    assert recipe().settings() == {"variant": "fqss", "norm": "scalar-gain"}


def test_a_recipe_is_read_again_from_its_settings() -> None:
    changed = recipe(input="byte", gamma_max=None)
    assert Recipe(**json.loads(json.dumps(changed.settings()))).method == changed.method


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"input": "byte"}, {ByteEncoder, ReconstructingDecoder}),
        ({"output": "byte"}, {SplitEncoder, ByteDecoder}),
        ({"input": "16", "output": "16"}, {Int16Encoder, Int16Decoder}),
    ],
)
def test_input_and_output_are_chosen_apart(changes: dict[str, Any], kinds: set[type[nn.Module]]) -> None:
    assert ends(quantized_network(tiny_spec(), recipe(**changes))) == kinds


def test_16_bits_in_are_the_samples_themselves() -> None:
    encoder = Int16Encoder(Encoder(4, 16, 8, "linear"))
    samples = torch.arange(-32768, 32768, 7, dtype=torch.float32)[None, None] / 32768
    assert torch.equal(encoder.codes(samples), samples)
    assert torch.equal(encoder.codes(torch.full((1, 1, 1), 1.0)), torch.full((1, 1, 1), 32767 / 32768))


def test_16_bits_out_are_codes_of_int16() -> None:
    spec = tiny_spec()
    with torch.no_grad():
        out = quantized_network(spec, recipe(output="16"))(mixtures(spec, 2)) * 32768
    assert torch.equal(out, out.round())
    assert (out.long() % 256).unique().numel() > 20  # not those of a byte


def test_16_bits_at_the_ends_of_two_branches() -> None:
    spec = tiny_htdemucs()
    network = quantized_network(spec, recipe(input="16", output="16"))
    assert ends(network) == {Int16Convolution, Int16Upsampling}
    error = {}
    with torch.no_grad():
        for name, made in {"16": network, "byte": quantized_network(spec, Recipe("vanilla", "scalar-gain"))}.items():
            expected = tiny_network(spec).eval()(mixtures(spec, 1))
            error[name] = float((made(mixtures(spec, 1)) - expected).square().sum())
    assert error["16"] < error["byte"]


def test_what_is_simulated_alone_is_not_exported() -> None:
    spec = tiny_spec()
    network = quantized_network(spec, recipe(input="16"))
    with pytest.raises(UserError, match=r"Int16Encoder.*simulated in torch alone"):
        build_model(network, FileMetadata.of(spec))
    assert Method(input="16", activations=False).simulated_only == ["input: 16", "activations: false"]
    assert Method(calibration="min-max").simulated_only == []


def test_what_stays_float_adds_no_noise() -> None:
    """Weights cost less than everything, and with nothing quantized but the statistics of norms what is left is small."""
    spec, error = tiny_spec(), {}
    with torch.no_grad():
        expected = tiny_network(spec).eval()(mixtures(spec, 2))
        for weights, activations in ((False, False), (True, False), (True, True)):
            method = Method(input="16", output="16", weights=weights, activations=activations)
            network = quantized_network(spec, Recipe("fqss", "scalar-gain", method))
            leave_float(network, method)
            error[weights, activations] = float((network(mixtures(spec, 2)) - expected).square().sum() / expected.square().sum())
    assert error[False, False] < error[True, False] < error[True, True]
    assert error[False, False] < 0.1 * error[True, True]


def test_a_spec_says_its_method_where_it_is_another() -> None:
    spec = load_model("convtasnet")
    assert "method" not in spec.model_dump() and "seed" not in spec.model_dump()["profiles"]["full"]
    changed = ModelSpec.model_validate({**spec.model_dump(), "method": {"kd_lambda": 0.5}})
    assert changed.method == Method(kd_lambda=0.5)
    assert ModelSpec.model_validate_json(changed.model_dump_json()) == changed
    with pytest.raises(ValidationError, match="kd_lambda"):
        Method(kd_lambda=1.5)
