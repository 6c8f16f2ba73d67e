import numpy as np
import torch

from pipeline.layers.encoder.float import Encoder
from pipeline.layers.encoder.quantized import INPUT_SCALE, ByteEncoder, SplitEncoder, split

ALL = np.arange(-32768, 32768)


def test_the_split_of_every_code_is_the_shift_and_the_mask_and_reassembles() -> None:
    high, low = split(torch.from_numpy(ALL / 32768).float())
    high_code, low_code = (np.asarray(part * 128, dtype=np.float64) for part in (high, low))
    np.testing.assert_array_equal(high_code, ALL >> 8)
    np.testing.assert_array_equal(low_code, (ALL & 255) - 128)
    np.testing.assert_array_equal(256 * high_code + low_code + 128, ALL)
    # the inverse of the paper: x = high + (low + 1) / 256
    np.testing.assert_array_equal(high.double() + (low.double() + 1) / 256, ALL / 32768)


def encoder(relu: bool = False) -> Encoder:
    torch.manual_seed(0)
    return Encoder(12, 16, 8, "relu" if relu else "linear")


def test_the_split_encoder_starts_as_the_float_encoder_but_for_the_low_byte() -> None:
    """Its error is that of an 8-bit input without offset: at most half a step a sample, times the filter's L1 norm."""
    layer = encoder()
    twin = SplitEncoder(layer)
    twin.output_quantizer = torch.nn.Identity()
    waveform = torch.from_numpy(np.random.default_rng(0).integers(-30000, 30000, (1, 800)) / 32768).float()
    error = (twin(waveform) - layer(waveform)).abs().amax((0, 1))
    filters = layer.filterbank["_filters"].detach()
    bound = filters.abs().sum((1, 2)) * INPUT_SCALE / 2 + 16 * twin.weight_quantizer.scale() / 2
    assert bool((error <= bound * 1.01).all())
    assert abs(float((twin(waveform) - layer(waveform)).mean())) < float(bound.mean()) / 10


def test_the_byte_encoder_sees_eight_bits_rounded() -> None:
    layer = encoder()
    twin = ByteEncoder(layer)
    twin.output_quantizer = torch.nn.Identity()
    pcm = np.random.default_rng(1).integers(-32768, 32768, (1, 800))
    pcm[0, :3] = (32767, -32768, 32640)
    byte = np.clip(np.floor(pcm / 256 + 0.5), -128, 127)
    codes, scale = twin.weight_quantizer.codes(twin.weight).numpy()[:, 0].astype(float), twin.weight_quantizer.scale().numpy()
    expected = np.stack([codes @ byte[0, 8 * frame : 8 * frame + 16] for frame in range(99)]) * scale / 128
    np.testing.assert_allclose(twin(torch.from_numpy(pcm / 32768).float())[0].detach().numpy(), expected, atol=1e-5)


def test_the_low_byte_can_be_learned() -> None:
    twin = SplitEncoder(encoder())
    twin.output_quantizer = torch.nn.Identity()
    twin(torch.rand(1, 800) * 2 - 1).square().sum().backward()
    assert twin.weight.grad is not None
    assert float(twin.weight.grad[:, 1].abs().min()) > 0
