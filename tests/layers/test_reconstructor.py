import numpy as np
import pytest
import torch
from torch.nn import functional

from export_specs.foundation.errors import UserError
from pipeline.layers.decoder.float import Decoder
from pipeline.layers.decoder.quantized import ByteDecoder, ReconstructingDecoder
from pipeline.quantization.quantize import quantize, set_observing
from pipeline.quantization.recipe import Recipe, Variant
from tests.tiny import quantized_network, tiny_network, tiny_spec, waveforms


@pytest.fixture
def decoder() -> ReconstructingDecoder:
    """Observed on features that give waveforms within full scale."""
    torch.manual_seed(0)
    layer = ReconstructingDecoder(Decoder(24, 16, 8))
    set_observing(layer, True)
    layer(features(0))
    set_observing(layer, False)
    return layer


def features(seed: int) -> torch.Tensor:
    return torch.rand(2, 99, 24, generator=torch.Generator().manual_seed(seed)) * 0.2


def test_the_output_is_256_times_the_high_byte_and_the_correction(decoder: ReconstructingDecoder) -> None:
    parts: dict[str, np.ndarray] = {}
    for name in ("high", "correction"):
        module = decoder.get_submodule(f"{name}_quantizer")
        module.register_forward_hook(lambda _, __, output, name=name: parts.update({name: output.detach().double().numpy()}))
    output = decoder(features(1)).detach().double().numpy()
    high, correction = parts["high"] * 128, parts["correction"] * 32768
    for codes in (high, correction):
        np.testing.assert_array_equal(codes, np.rint(codes))
        assert codes.min() >= -128 and codes.max() <= 127
    np.testing.assert_array_equal(output * 32768, np.clip(256 * high + correction, -32768, 32767))
    assert np.abs(correction).max() > 4


def test_the_correction_lowers_the_error(decoder: ReconstructingDecoder) -> None:
    """Against the exact decoder with the same int8 weights, on features on their own grid."""
    given = features(2)
    filters = decoder.synthesis().detach().t()[:, None]  # [N, 1, K]
    exact = functional.conv_transpose1d(given.transpose(1, 2), filters, stride=8)[:, 0]
    high = torch.round(exact * 128) / 128
    errors = [float((approximation.detach() - exact)[:, 16:-16].square().mean()) for approximation in (high, decoder(given))]
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(("kernel", "stride", "filters"), [(16, 8, 24), (8, 4, 16), (10, 5, 16)])
def test_analysis_is_undone_by_synthesis(kernel: int, stride: int, filters: int) -> None:
    """D(E~(x)) = x, by torch's own convolutions; away from the edges, where frames are missing."""
    torch.manual_seed(1)
    layer = ReconstructingDecoder(Decoder(filters, kernel, stride))
    x = waveforms(1, kernel + 60 * stride)
    synthesis = layer.weight.detach()[:, 0].t()[:, None]  # [N, 1, K]
    features = functional.conv1d(x[:, None], layer.analysis.detach(), stride=stride)
    again = functional.conv_transpose1d(features, synthesis, stride=stride)[:, 0]
    torch.testing.assert_close(again[:, kernel:-kernel], x[:, kernel:-kernel], atol=2e-4, rtol=1e-3)


def test_the_block_is_shared_by_the_sources() -> None:
    network = quantized_network(tiny_spec(), Recipe("fqss", "runtime-filter"))
    decoders = [module for module in network.modules() if isinstance(module, ReconstructingDecoder)]
    assert len(decoders) == 1
    calls = []
    decoders[0].register_forward_hook(lambda *_: calls.append(1))
    network(waveforms(1, 800))
    assert len(calls) == 2


def test_gradients_reach_both_decoders_the_analysis_and_the_ranges(decoder: ReconstructingDecoder) -> None:
    decoder(features(3)).square().sum().backward()
    for name in ("weight", "analysis", "residue_quantizer.maximum", "reanalysis_quantizer.maximum"):
        gradient = decoder.get_parameter(name).grad
        assert gradient is not None and float(gradient.abs().sum()) > 0


def test_a_network_of_zeros_is_refused() -> None:
    network = tiny_network(tiny_spec())
    with torch.no_grad():
        network.get_parameter("decoder.filterbank._filters").zero_()
    with pytest.raises(UserError, match="nothing but zeros"):
        quantize(network, Recipe("fqss", "scalar-gain"))


@pytest.mark.parametrize("variant", ["fqss", "vanilla"])
def test_the_output_is_scaled_with_the_same_codes_of_weights(variant: Variant) -> None:
    network = quantized_network(tiny_spec(), Recipe(variant, "scalar-gain"))
    decoder = network.get_submodule("decoder")
    assert isinstance(decoder, ReconstructingDecoder | ByteDecoder)
    mixture = waveforms(2, 800)
    with torch.no_grad():
        before, codes = network(mixture), decoder.weight_quantizer.codes(decoder.weight.reshape(1, -1))
        decoder.scale_output(0.7)
        after = network(mixture)
    assert torch.equal(decoder.weight_quantizer.codes(decoder.weight.reshape(1, -1)), codes)
    error = (after - 0.7 * before).square().sum() / before.square().sum()
    assert float(error) < (1e-5 if variant == "vanilla" else 5e-3)  # scales have 12 bits; the high byte falls on other steps
