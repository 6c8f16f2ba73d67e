import numpy as np
import torch

from pipeline.layers.encoder.float import Encoder
from pipeline.layers.encoder.quantized import HIGH_COPIES, ByteEncoder, SplitEncoder, digit_weights, split

ALL = np.arange(-32768, 32768)


def digits(codes: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(part * 128, dtype=np.float64) for part in split(torch.from_numpy(codes / 32768).float())]


def test_the_digits_of_every_code_fit_and_reassemble() -> None:
    high, middle, low = digits(ALL)
    np.testing.assert_array_equal(256 * high + 16 * middle + low, ALL)
    for digit, smallest, largest in ((high, -128, 127), (middle, -8, 16), (low, -8, 7)):
        np.testing.assert_array_equal(digit, np.rint(digit))
        assert (digit.min(), digit.max()) == (smallest, largest)
    np.testing.assert_array_equal(high, np.minimum(np.floor((np.floor((ALL + 8) / 16) + 8) / 16), 127))


def test_a_small_sample_has_small_digits_whatever_its_sign() -> None:
    """A floor would make -1 of the digits -1 and 255."""
    for codes, largest in ((np.arange(-7, 8), (0, 0, 7)), (np.arange(-119, 120), (0, 8, 8))):
        assert [int(np.abs(digit).max()) for digit in digits(codes)] <= list(largest)


def encoder(relu: bool = False) -> Encoder:
    torch.manual_seed(0)
    return Encoder(12, 16, 8, "relu" if relu else "linear")


def split_encoder() -> SplitEncoder:
    twin = SplitEncoder(encoder())
    twin.output_quantizer = torch.nn.Identity()
    return twin


def pcm(seed: int, samples: int = 800) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-30000, 30000, (1, samples)) / 32768).float()


def test_the_split_encoder_starts_as_the_float_encoder() -> None:
    """All 16 bits count: its error is that of the weights' rounding, half a step for each digit at most."""
    twin, layer, waveform = split_encoder(), encoder(), pcm(0)
    with torch.no_grad():
        error = (twin(waveform) - layer(waveform)).abs().amax((0, 1))
    step = twin.weight_quantizer.scale() / 2
    assert bool((error <= 16 * step * (1 + 8 / 128 + 8 / 128)).all())


def test_the_low_byte_has_its_weight_after_any_training() -> None:
    """The energy that rounding adds to what low bytes should give, over all of them, is a small part of it."""
    twin, layer = split_encoder(), encoder()
    with torch.no_grad():
        moved = torch.randn(twin.weight.shape) * 0.1
        twin.weight.add_(moved)
        layer.filterbank["_filters"].add_(moved)
    samples = torch.from_numpy(np.random.default_rng(1).integers(-120, 120, (1, 4000)) / 32768).float()  # no sample has a high byte
    with torch.no_grad():
        wanted = layer(samples)
        error = (twin(samples) - wanted).square().sum() / wanted.square().sum()
    assert float(error) < 0.01


def test_copies_of_the_high_byte_double_the_precision_of_its_weights() -> None:
    twin = split_encoder()
    with torch.no_grad():
        parts = digit_weights(twin.weight, twin.weight_quantizer)
        scale = twin.weight_quantizer.scale()[:, None, None]
        codes = [part / scale for part in parts]
        assert len(codes) == HIGH_COPIES + 2
        assert all(float(code.abs().max()) <= 127 + 1e-3 for code in codes)
        assert float(((sum(parts[:HIGH_COPIES]) - twin.weight) / scale).abs().max()) <= 0.5 + 1e-3
        assert float((twin.weight / scale).abs().max()) > 200  # a single code goes to 127


def test_zeros_give_zeros_after_any_training() -> None:
    for twin in (SplitEncoder(encoder(relu=True)), ByteEncoder(encoder())):
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.1)
            twin.output_quantizer = torch.nn.Identity()
            assert not twin(torch.zeros(1, 800)).any()


def test_the_byte_encoder_sees_eight_bits_rounded() -> None:
    layer = encoder()
    twin = ByteEncoder(layer)
    twin.output_quantizer = torch.nn.Identity()
    samples = np.random.default_rng(1).integers(-32768, 32768, (1, 800))
    samples[0, :3] = (32767, -32768, 32640)
    byte = np.clip(np.floor(samples / 256 + 0.5), -128, 127)
    codes, scale = twin.weight_quantizer.codes(twin.weight).numpy()[:, 0].astype(float), twin.weight_quantizer.scale().numpy()
    expected = np.stack([codes @ byte[0, 8 * frame : 8 * frame + 16] for frame in range(99)]) * scale / 128
    np.testing.assert_allclose(twin(torch.from_numpy(samples / 32768).float())[0].detach().numpy(), expected, atol=1e-5)
