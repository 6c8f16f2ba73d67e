"""The exported graph on onnxruntime against the fake-quantized network in torch, tensor by tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto

from export_specs.file_metadata import FileMetadata
from pipeline.export.qdq import build_model
from pipeline.layers.global_norm.recipes.runtime_filter import RuntimeFilterNorm
from pipeline.quantization.recipe import Recipe
from tests.export.exported import (
    METADATA,
    Exported,
    assert_equal_but_for_ties,
    golden_differences,
    named_layers,
    quantized_tensors,
    recordings,
    session,
    torch_codes,
    with_outputs,
)
from tests.tiny import (
    RECIPES,
    mixtures,
    quantized_network,
    recipe_name,
    tiny_dptnet,
    tiny_music_spec,
    tiny_sepformer,
    tiny_spec,
)


def test_every_int8_tensor_equals_that_of_torch_given_golden_inputs(exported: Exported) -> None:
    differences = golden_differences(exported)
    assert_equal_but_for_ties(differences)
    inside_norms = ("/mean8", "/frame_mean", "squares", "energy", "/var8", "/variance8", "/variance", "/rstd", "/centre")
    names = quantized_tensors(exported.model, TensorProto.INT8)
    compared_with_nothing = {name for name in names if name not in differences and not name.endswith(inside_norms)}
    assert not compared_with_nothing


def test_the_whole_network_equals_torch(exported: Exported) -> None:
    """From the waveform to the waveform, where a difference travels on: one tie in one of the recordings may."""
    inner = session(exported.model)
    unequal = 0
    for pcm in recordings():
        separated, expected = inner.run(None, {"pcm": pcm})[0], torch_codes(exported, pcm)[1]
        difference = np.abs(separated - expected)
        assert np.square(difference).sum() <= 10**-3.5 * np.square(expected).sum()
        unequal += (difference > 0).mean() > 0.002
    assert unequal <= 1


def test_norm_statistics_equal_those_of_torch(exported: Exported) -> None:
    norms = {name: module for name, module in named_layers(exported.network) if isinstance(module, RuntimeFilterNorm)}
    if not norms:
        pytest.skip("the recipe keeps its statistics in int16")
    recorded: dict[str, tuple[float, float]] = {}
    for name, norm in norms.items():

        def record(moments: object, c: object, norm: RuntimeFilterNorm = norm, name: str = name) -> tuple[torch.Tensor, torch.Tensor]:
            result = type(norm).statistics(norm, moments, c)  # type: ignore[arg-type]
            recorded[name] = (float(result[0]), float(result[1]))
            return result

        norm.statistics = record  # type: ignore[method-assign,assignment]
    outputs = [f"{name}/{kind}" for name in norms for kind in ("m_all", "rstd")]
    inner = session(with_outputs(exported.model, outputs))
    for pcm in recordings():
        torch_codes(exported, pcm)
        actual = dict(zip(["separated", *outputs], inner.run(None, {"pcm": pcm}), strict=True))
        for name, (mean, rstd) in recorded.items():
            assert int(actual[f"{name}/m_all"].item()) == mean
            assert int(actual[f"{name}/rstd"].item()) == rstd
    for norm in norms.values():
        del norm.statistics  # the method of the class again


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_act": "relu"},
        {"kernel_size": 10, "stride": 5, "conv_kernel_size": 5},
        {"n_src": 1},
        {"n_src": 3},
        {"n_repeats": 2},
        {"mask_act": "sigmoid"},
        {"causal": True},
    ],
    ids=str,
)
def test_other_networks_equal_torch_too(changes: dict[str, int]) -> None:
    spec = tiny_spec(**changes)  # type: ignore[arg-type]
    twin = quantized_network(spec, RECIPES[0])
    assert_equal_but_for_ties(golden_differences(Exported(RECIPES[0], twin, build_model(twin, METADATA))))


@pytest.mark.parametrize(
    "recipe", [Recipe("fqss", "scalar-gain"), Recipe("vanilla", "runtime-filter"), Recipe("fqss", "int16-elementwise")], ids=recipe_name
)
def test_transformers_equal_torch_too(recipe: Recipe) -> None:
    twin = quantized_network(tiny_sepformer(), recipe)
    differences = golden_differences(Exported(recipe, twin, build_model(twin, METADATA)))
    assert_equal_but_for_ties(differences)
    first, last = "masknet.dual_mdl.0.intra_mdl", "masknet.dual_mdl.1.inter_mdl.mdl.layers.self_att.heads"
    sequences = {f"{first}.pos_enc", last, f"{last}/logits2", f"{first}.mdl.layers.self_att.heads/weights0", "masknet.merge#1"}
    assert sequences <= differences.keys()


@pytest.mark.parametrize("recipe", [Recipe("fqss", "scalar-gain"), Recipe("vanilla", "runtime-filter")], ids=recipe_name)
def test_recurrent_networks_equal_torch_too(recipe: Recipe) -> None:
    twin = quantized_network(tiny_dptnet(), recipe)
    differences = golden_differences(Exported(recipe, twin, build_model(twin, METADATA)))
    assert_equal_but_for_ties(differences)
    row, column = "separator.DPT.row_transformer.0", "separator.DPT.col_transformer.1.transformer"
    norm = {f"{row}.norm1.normalised", f"{row}.norm1.affine"}
    assert norm | {f"{row}.lstm", f"{column}.lstm", "separator.DPT.output.0.in"} <= differences.keys()


@pytest.mark.parametrize("recipe", RECIPES, ids=recipe_name)
def test_stereo_networks_equal_torch_too(recipe: Recipe) -> None:
    spec = tiny_music_spec()
    twin = quantized_network(spec, recipe)
    clips = [np.rint(mixtures(spec, 1, seed).numpy() * 32768).clip(-32768, 32767).astype(np.int16) for seed in (76, 77, 78)]
    exported = Exported(recipe, twin, build_model(twin, FileMetadata.of(spec)))
    assert_equal_but_for_ties(golden_differences(exported, clips))
