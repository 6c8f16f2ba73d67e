"""The features that masks multiply: a tensor of their own with a gain for each channel, and what makes up for the gain."""

from __future__ import annotations

import numpy as np
import torch
from onnx import numpy_helper

from export_specs.file_metadata import FileMetadata
from pipeline.export.qdq import build_model
from pipeline.layers.carried_features import QuantizedCarriedFeatures
from pipeline.layers.decoder.quantized import QuantizedDecoder
from pipeline.quantization.bypass import bypass, restore
from pipeline.quantization.equalization import equalize_features
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, tiny_network, tiny_spec

RECIPE = Recipe("fqss", "scalar-gain")


def test_in_float_they_are_the_features() -> None:
    network, features = tiny_network(tiny_spec()), torch.randn(1, 5, 24)
    assert network.carried(torch.zeros(1, 48), features) is features


def test_with_gains_the_network_computes_the_same_and_channels_reach_alike_far() -> None:
    spec = tiny_spec()
    twin, x = quantized_network(spec, RECIPE), mixtures(spec, 4)
    carried = twin.carried
    assert isinstance(carried, QuantizedCarriedFeatures)
    bypass(twin)
    with torch.no_grad():
        before = twin(x)
        restore(twin)
        equalize_features(twin, [x])
        bypass(twin)
        after, features = twin(x), carried(x, twin.encoder(x))
    assert carried.gain.min() == 1 and carried.gain.max() > 1.5
    assert (after - before).square().sum() < 1e-9 * before.square().sum()
    reach = features.abs().amax((0, 1))
    torch.testing.assert_close(reach, reach.max().expand_as(reach))
    ends = carried.output_quantizer.ends()
    torch.testing.assert_close(torch.stack(ends), torch.stack([features.min(), features.max()]))


def test_silence_and_silent_channels_leave_every_gain_finite() -> None:
    spec = tiny_spec()
    for silent in (slice(0, 1), slice(None)):
        twin, x = quantized_network(spec, RECIPE), mixtures(spec, 2)
        with torch.no_grad():
            twin.encoder.weight[silent] = 0
        equalize_features(twin, [x])
        assert twin.carried.gain.isfinite().all() and twin.decoder.weight.isfinite().all()
        assert torch.isfinite(torch.stack(twin.carried.output_quantizer.ends())).all()


def test_rounding_of_the_features_is_less_at_the_output() -> None:
    spec = tiny_spec()
    twin, x = quantized_network(spec, RECIPE), mixtures(spec, 4)
    decoder, errors = twin.decoder, []
    assert isinstance(decoder, QuantizedDecoder)
    for step in range(2):
        if step:
            equalize_features(twin, [x])
        grid = twin.carried.output_quantizer
        bypass(twin)
        with torch.no_grad():
            expected = twin(x)
            del grid.forward
            errors.append(float((twin(x) - expected).square().sum()))
        restore(twin)
    assert errors[1] < 0.7 * errors[0]


def test_the_file_holds_the_encoders_codes_with_other_scales() -> None:
    spec = tiny_spec()
    twin = quantized_network(spec, RECIPE)
    equalize_features(twin, [mixtures(spec, 2)])
    constants = {item.name: numpy_helper.to_array(item) for item in build_model(twin, FileMetadata.of(spec)).graph.initializer}
    np.testing.assert_array_equal(constants["carried.weight"], constants["encoder.weight"])
    gains = constants["carried.weight/scale"] / constants["encoder.weight/scale"]
    np.testing.assert_allclose(gains, twin.carried.gain.numpy(), rtol=1e-6)
