"""HTDemucs as QDQ ONNX and as float ONNX against torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from edge_runtime.spectrogram import FrontEnd
from export_specs.file_metadata import FileMetadata, read_metadata
from export_specs.foundation.errors import UserError
from pipeline.export.float_onnx import float_graph
from pipeline.export.qdq import build_model
from pipeline.networks.htdemucs.model import HTDemucs, standardised
from pipeline.networks.htdemucs.spectrogram import to_spectrogram
from pipeline.quantization.recipe import Recipe
from tests.tiny import mixtures, quantized_network, recipe_name, tiny_htdemucs, tiny_network

RECIPES = [Recipe("fqss", "scalar-gain"), Recipe("fqss", "int16-elementwise"), Recipe("vanilla", "scalar-gain")]


def branch_inputs(network: HTDemucs, mixture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised spectrogram [1, Fr, F, 2 A] and waveform [1, T, A]."""
    return standardised(to_spectrogram(mixture, network.n_fft))[0], standardised(mixture)[0].transpose(1, 2)


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_outputs_equal_torch(recipe: Recipe) -> None:
    """From int16 to int16 through all layers; a difference travels on and grows, so a tie in one of the recordings is allowed."""
    spec = tiny_htdemucs()
    network = quantized_network(spec, recipe)
    assert isinstance(network, HTDemucs)
    model = build_model(network, FileMetadata.of(spec))
    (entry,) = model.metadata_props
    described = read_metadata(entry.value, "the file").front_end
    assert described is not None
    front_end = FrontEnd.of(described)
    assert front_end.n_fft == 512
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    equal = []
    for seed in (60, 61, 62):
        pcm = (mixtures(spec, 1, seed)[0] * 32768).numpy().astype(np.int16)
        spectrogram, waveform, _ = front_end.analyse(pcm)
        results = session.run(None, {"spectrogram": spectrogram[None], "waveform": waveform[None]})
        assert [result.shape for result in results] == [(1, 16, 256, 13), (1, 8, 1664)]
        taken = [
            torch.from_numpy(codes * (scale / 32768)).float()
            for codes, scale in zip((spectrogram, waveform), front_end.input_scales, strict=True)
        ]
        with torch.no_grad():
            expected = network.branches(taken[0].permute(1, 2, 0)[None], taken[1].T[None])
        for result, values, scale in zip(results, expected, front_end.output_scales, strict=True):
            codes = np.rint(values.movedim(-1, 1).double().numpy() / scale * 32768)
            difference = np.abs(result - codes)
            assert np.square(difference).sum() <= 10**-2 * np.square(codes).sum()
            equal.append(difference.max() <= 2 and (difference > 0).mean() <= 0.01)
    assert sum(equal) >= 4


def test_float_network_in_onnx() -> None:
    spec = tiny_htdemucs(t_layers=3)
    network = tiny_network(spec).eval()
    assert isinstance(network, HTDemucs)
    session = onnxruntime.InferenceSession(float_graph(network, 1664, spec.n_src).SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = branch_inputs(network, mixtures(spec, 1))
    with torch.no_grad():
        expected = network.branches(*inputs)
    feeds = {name: tensor.movedim(-1, 1).numpy() for name, tensor in zip(("spectrogram", "waveform"), inputs, strict=True)}
    for result, values in zip(session.run(None, feeds), expected, strict=True):
        np.testing.assert_allclose(result, values.movedim(-1, 1).numpy(), atol=1e-5 * float(values.abs().max()))


def test_a_length_that_the_first_layer_would_pad_is_refused() -> None:
    with pytest.raises(UserError, match="1663 samples is no multiple of the stride 4"):
        build_model(
            quantized_network(tiny_htdemucs(), Recipe("fqss", "scalar-gain")), FileMetadata.of(tiny_htdemucs(), segment_samples=1663)
        )
