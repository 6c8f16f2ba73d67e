import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export_specs.foundation.errors import UserError
from export_specs.method import Variant
from pipeline.layers.decoder.float import Decoder
from pipeline.layers.decoder.quantized import ByteDecoder, ReconstructingDecoder
from pipeline.layers.decoder.residue import spread
from pipeline.quantization.grid import ActivationQuantizer, FixedQuantizer, WholeStepsQuantizer, round_mantissa
from pipeline.quantization.quantize import quantize
from pipeline.quantization.recipe import Recipe
from tests.tiny import quantized_network, tiny_network, tiny_spec, waveforms


@pytest.fixture
def decoder() -> ReconstructingDecoder:
    """Behind features on a grid, which give waveforms within full scale."""
    torch.manual_seed(0)
    layer = ReconstructingDecoder(Decoder(24, 16, 8))
    source = ActivationQuantizer()
    source.observe(torch.tensor([0.0, 0.2]))
    layer.connect([source])
    return layer


def features(seed: int) -> torch.Tensor:
    return torch.round(torch.rand(2, 99, 24, generator=torch.Generator().manual_seed(seed)) * 255) * float(
        round_mantissa(torch.tensor(0.2 / 255))
    )


def exact_waveform(decoder: ReconstructingDecoder, given: torch.Tensor) -> np.ndarray:
    """What the quantized weights make of features, in float64 and by a loop."""
    quantizer = decoder.weight_quantizer
    weight = (quantizer.codes(decoder.rows()).double() * quantizer.scale().double()[:, None]).view(16, 24).numpy()
    waveform = np.zeros((len(given), 98 * 8 + 16))
    for frame in range(99):
        waveform[:, 8 * frame : 8 * frame + 16] += given[:, frame].double().numpy() @ weight.T
    return waveform


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


def test_the_output_has_16_bits(decoder: ReconstructingDecoder) -> None:
    """It is what the int8 weights make of the features, rounded once to 2^-15: the high byte alone would leave 256 times the error."""
    known = features(2)
    with torch.no_grad():
        output = decoder(known).double().numpy()
    error = output - exact_waveform(decoder, known)
    assert np.abs(error).max() * 32768 <= 0.51 + 0.5  # the correction has one code too few for the last half step
    assert (np.abs(error) * 32768 > 0.51).mean() < 0.01


def test_silence_is_silence_after_any_training(decoder: ReconstructingDecoder) -> None:
    known = features(3)
    known[:, 40:] = 0
    with torch.no_grad():
        decoder.weight.add_(torch.randn(decoder.weight.shape) * 0.1)
        output = decoder(known)
    assert output[:, : 39 * 8].any()
    assert not output[:, 39 * 8 + 16 :].any()


@settings(deadline=None)
@given(st.floats(1e-6, 10.0), st.floats(1e-4, 10.0))
def test_a_whole_number_of_steps_of_the_sum_makes_one_of_the_high_byte(largest: float, loudest: float) -> None:
    weight = torch.linspace(-1, 1, 40).view(2, 20) * torch.tensor([[largest], [largest / 3]])
    quantizer, source = WholeStepsQuantizer(weight, FixedQuantizer(1 / 128)), ActivationQuantizer()
    source.observe(torch.tensor([0.0, loudest]))
    quantizer.source = [source]
    product = quantizer.scale().double() * float(source.grid()[0])
    steps = quantizer.steps().double()
    torch.testing.assert_close(steps * product, torch.full_like(product, 1 / 128), rtol=1e-6, atol=0)
    assert bool((steps == steps.round()).all()) and 1 <= float(steps.min()) <= float(steps.max()) <= quantizer.MOST_STEPS
    assert bool((quantizer.scale() >= quantizer.range / 127 * (1 - 1e-6)).all())  # the range is never cut
    inside = steps < quantizer.MOST_STEPS
    assert bool((quantizer.scale()[inside] <= quantizer.range[inside] / 127 * (1 + 1.001 / steps[inside])).all()) or float(steps.min()) == 1


@pytest.mark.parametrize("values", [[1], [127], [128, -600], [-1143, 0, 5]])
def test_large_weights_are_sums_of_int8_ones(values: list[int]) -> None:
    parts = spread(np.array(values))
    assert len(parts) == -(-max(map(abs, values)) // 127)
    assert np.abs(parts).max() <= 127
    np.testing.assert_array_equal(parts.sum(0), values)


def test_the_block_is_shared_by_the_sources() -> None:
    network = quantized_network(tiny_spec(), Recipe("fqss", "runtime-filter"))
    decoders = [module for module in network.modules() if isinstance(module, ReconstructingDecoder)]
    assert len(decoders) == 1
    calls = []
    decoders[0].register_forward_hook(lambda *_: calls.append(1))
    network(waveforms(1, 800))
    assert len(calls) == 2


def test_gradients_reach_the_decoder_and_its_range(decoder: ReconstructingDecoder) -> None:
    known = features(3).requires_grad_()
    decoder(known).square().sum().backward()
    for gradient in (known.grad, decoder.weight.grad, decoder.weight_quantizer.range.grad):
        assert gradient is not None and float(gradient.abs().sum()) > 0


def test_the_gradient_is_that_of_the_decoder_alone(decoder: ReconstructingDecoder) -> None:
    """Rounding in two parts passes gradients as one rounding does, within full scale."""
    known, same = features(4).requires_grad_(), features(4).requires_grad_()
    toward = torch.randn(2, 98 * 8 + 16)
    (decoder(known) * toward).sum().backward()
    (decoder.synthesise(same, decoder.weight_quantizer(decoder.rows()).detach()) * toward).sum().backward()
    torch.testing.assert_close(known.grad, same.grad)


def test_a_network_of_zeros_is_refused() -> None:
    network = tiny_network(tiny_spec())
    with torch.no_grad():
        network.get_parameter("decoder.filterbank._filters").zero_()
    with pytest.raises(UserError, match="nothing but zeros"):
        quantize(network, Recipe("fqss", "scalar-gain"))


@pytest.mark.parametrize("variant", ["fqss", "vanilla"])
def test_the_output_is_scaled_with_the_codes_of_weights(variant: Variant) -> None:
    network = quantized_network(tiny_spec(), Recipe(variant, "scalar-gain"))
    decoder = network.get_submodule("decoder")
    assert isinstance(decoder, ReconstructingDecoder | ByteDecoder)
    decoder.scale_output(8)  # as loud as a mixture
    mixture = waveforms(2, 800)
    with torch.no_grad():
        before, codes = network(mixture), decoder.weight_quantizer.codes(decoder.weight.reshape(1, -1))
        decoder.scale_output(0.7)
        after = network(mixture)
    moved = (decoder.weight_quantizer.codes(decoder.weight.reshape(1, -1)).int() - codes.int()).abs().max()
    assert int(moved) <= (0 if variant == "vanilla" else 1)  # a whole number of steps is another one
    error = (after - 0.7 * before).square().sum() / before.square().sum()
    assert float(error) < (1e-5 if variant == "vanilla" else 1e-4)
