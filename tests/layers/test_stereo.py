"""Splitter and reconstructor on two audio channels, against torch's own convolutions."""

import torch
from torch.nn import functional

from pipeline.layers.decoder.float import FrameDecoder
from pipeline.layers.decoder.quantized import ReconstructingDecoder
from pipeline.layers.encoder.float import RectifiedEncoder
from pipeline.layers.encoder.quantized import SplitEncoder, digit_weights, split
from pipeline.quantization.grid import ActivationQuantizer
from pipeline.quantization.quantize import set_observing
from tests.tiny import waveforms

KERNEL, STRIDE, FILTERS = 12, 6, 40


def test_the_high_digits_of_both_channels_come_before_the_others() -> None:
    torch.manual_seed(0)
    encoder = SplitEncoder(RectifiedEncoder(2, FILTERS, KERNEL, STRIDE))
    set_observing(encoder, True)
    with torch.no_grad():
        waveform = waveforms(6, KERNEL + 30 * STRIDE).unflatten(0, (3, 2))
        *highs, middle, low = digit_weights(encoder.weight, encoder.weight_quantizer)
        weights = (torch.stack(highs).sum(0), middle, low)
        parts = [functional.conv1d(part, weight, stride=STRIDE) for part, weight in zip(split(waveform), weights, strict=True)]
        torch.testing.assert_close(encoder(waveform), torch.relu(sum(parts)).transpose(1, 2))


def test_each_channel_has_a_scale_of_its_own() -> None:
    torch.manual_seed(2)
    decoder = FrameDecoder(FILTERS, 2, KERNEL, STRIDE)
    with torch.no_grad():
        decoder.weight *= 20
        decoder.weight[KERNEL:] *= 0.25  # the second channel
    layer = ReconstructingDecoder(decoder)
    source = ActivationQuantizer()
    source.observe(torch.tensor([0.0, 0.1]))
    layer.connect([source])
    first, second = (decoder.filters[:, channel].abs().max() / 127 for channel in range(2))
    torch.testing.assert_close(layer.weight_quantizer.scale(), torch.stack([first, second]).detach(), rtol=0.01, atol=0)
    features = source(torch.rand(2, 50, FILTERS) * 0.1)
    with torch.no_grad():
        torch.testing.assert_close(layer(features), decoder(features).clamp(-1, 32767 / 32768), atol=0.02, rtol=0)
