"""Splitter and reconstructor on two audio channels, against torch's own convolutions."""

import torch
from torch.nn import functional

from pipeline.layers.decoder.float import FrameDecoder
from pipeline.layers.decoder.quantized import ReconstructingDecoder
from pipeline.layers.encoder.float import RectifiedEncoder
from pipeline.layers.encoder.quantized import SplitEncoder, split
from pipeline.quantization.quantize import set_observing
from tests.tiny import waveforms

KERNEL, STRIDE, FILTERS = 12, 6, 40


def test_the_high_bytes_of_both_channels_come_before_the_low_ones() -> None:
    torch.manual_seed(0)
    encoder = SplitEncoder(RectifiedEncoder(2, FILTERS, KERNEL, STRIDE))
    set_observing(encoder, True)
    with torch.no_grad():
        encoder.weight[:, 2:].normal_(0, 0.1)
        waveform = waveforms(6, KERNEL + 30 * STRIDE).unflatten(0, (3, 2))
        high, low = split(waveform)
        weight = encoder.weight_quantizer(encoder.weight)
        parts = [functional.conv1d(part, w, stride=STRIDE) for part, w in ((high, weight[:, :2]), (low, weight[:, 2:]))]
        expected = torch.relu(parts[0] + parts[1] + encoder.integer_bias()[:, None]).transpose(1, 2)
        torch.testing.assert_close(encoder(waveform), expected)


def test_analysis_is_undone_by_synthesis_in_both_channels() -> None:
    torch.manual_seed(1)
    layer = ReconstructingDecoder(FrameDecoder(FILTERS, 2, KERNEL, STRIDE))
    x = waveforms(2, KERNEL + 60 * STRIDE)[None]
    features = functional.conv1d(x, layer.analysis.detach(), stride=STRIDE)
    again = functional.conv_transpose1d(features, layer.weight.detach().permute(2, 1, 0), stride=STRIDE)
    inner = slice(2 * KERNEL, -2 * KERNEL)
    torch.testing.assert_close(again[..., inner], x[..., inner], atol=2e-3, rtol=0)


def test_each_channel_has_a_scale_of_its_own() -> None:
    torch.manual_seed(2)
    decoder = FrameDecoder(FILTERS, 2, KERNEL, STRIDE)
    with torch.no_grad():
        decoder.weight[KERNEL:] *= 0.25  # the second channel
    layer = ReconstructingDecoder(decoder)
    first, second = (decoder.filters[:, channel].abs().max() / 127 for channel in range(2))
    torch.testing.assert_close(layer.weight_quantizer.scale(), torch.stack([first, second]).detach())
    features = torch.rand(2, 50, FILTERS) * 0.1
    with torch.no_grad():
        torch.testing.assert_close(layer.synthesise(features, layer.synthesis()), decoder(features), atol=0.02, rtol=0)
