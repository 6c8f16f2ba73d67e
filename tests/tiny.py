"""Small networks of each kind, their twins and a few seconds of made-up speech and music, for tests of the training side."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from export_specs.method import Variant
from export_specs.schema import MUSIC_SOURCES, ModelSpec
from pipeline.layers.decoder.float import MonoDecoder, MonoFrameDecoder
from pipeline.layers.global_norm.float import GlobalLayerNorm
from pipeline.layers.global_norm.recipes import RECIPES as NORM_RECIPES
from pipeline.networks.build import build_network
from pipeline.networks.htdemucs.cross_transformer import LayerScale
from pipeline.quantization.quantize import observe, quantize
from pipeline.quantization.recipe import Recipe

SAMPLE_RATE = 8000
NORMS = tuple(sorted(NORM_RECIPES, reverse=True))
RECIPES = [Recipe(variant, norm) for variant in get_args(Variant) for norm in NORMS]


def recipe_name(recipe: Recipe) -> str:
    return f"{recipe.variant}-{recipe.norm}"


def tiny_spec(
    steps: int = 4, epoch_steps: int = 2, qat_steps: int = 2, cooldown_steps: int = 0, n_src: int = 2, **network: object
) -> ModelSpec:
    """One repeat of two blocks on segments of a tenth of a second; with ``n_src`` 3 a network that no data set trains."""
    sizes = {"n_filters": 24, "kernel_size": 16, "stride": 8, "bn_chan": 16, "hid_chan": 20, "skip_chan": 12, "n_blocks": 2, "n_repeats": 1}
    training = {"batch_size": 2, "learning_rate": 1e-3, "segment_seconds": 0.1}
    qat = {"batch_size": 2, "learning_rate": 1e-4, "segment_seconds": 0.1, "validation_mixtures": 1}
    spec = ModelSpec.model_validate(
        {
            "name": "tiny",
            "architecture": "convtasnet",
            "sample_rate": SAMPLE_RATE,
            "task": "separation" if n_src > 1 else "enhancement",
            "n_src": min(n_src, 2),
            "segment_samples": 800,
            "network": {**sizes, **network},
            "training": {**training, "steps": steps, "epoch_steps": epoch_steps, "cooldown_steps": cooldown_steps, "seed": 3},
            "profiles": {name: {**qat, "steps": count} for name, count in {"ptq": 0, "quick": qat_steps, "full": qat_steps}.items()},
        }
    )
    return spec.model_copy(update={"n_src": n_src})


def tiny_sepformer(**network: object) -> ModelSpec:
    """Two pairs of transformers of one layer on chunks of 10 frames, segments as :func:`tiny_spec`."""
    sizes = {"n_filters": 12, "kernel_size": 16, "stride": 8, "chunk_size": 10, "n_heads": 3, "n_layers": 1, "ffn_chan": 16, "n_repeats": 2}
    fields = tiny_spec().model_dump()
    return ModelSpec.model_validate({**fields, "architecture": "sepformer", "network": {**sizes, **network}})


def tiny_dptnet(**network: object) -> ModelSpec:
    """Two pairs of transformers on chunks of 10 frames, segments as :func:`tiny_spec`."""
    sizes = {"n_filters": 12, "kernel_size": 16, "stride": 8, "bn_chan": 8, "hid_chan": 6, "n_heads": 2, "chunk_size": 10, "n_repeats": 2}
    fields = tiny_spec().model_dump()
    return ModelSpec.model_validate({**fields, "architecture": "dptnet", "network": {**sizes, **network}})


def tiny_music_spec(qat_steps: int = 2) -> ModelSpec:
    """As :func:`tiny_spec`, stereo and into four stems, at MUSDB18's rate."""
    sizes = {"n_filters": 24, "kernel_size": 16, "stride": 8, "bn_chan": 16, "hid_chan": 20, "n_blocks": 2, "n_repeats": 1}
    fields = tiny_spec(qat_steps=qat_steps).model_dump()
    changes = {"architecture": "convtasnet_music", "task": "music", "sample_rate": 44100, "n_src": 4, "network": sizes}
    profiles = {name: {**profile, "segment_seconds": 0.018} for name, profile in fields["profiles"].items()}
    training = {**fields["training"], "segment_seconds": 0.018}
    return ModelSpec.model_validate({**fields, **changes, "profiles": profiles, "training": training})


def tiny_htdemucs(qat_steps: int = 2, **network: object) -> ModelSpec:
    """Two layers a branch and two of the transformer, on segments of 13 frames of a small transform."""
    sizes = {"channels": 8, "nfft": 512, "depth": 2, "kernel_size": 8, "stride": 4, "bottom_channels": 16, "t_layers": 2, "t_heads": 2}
    fields = tiny_music_spec(qat_steps).model_dump()
    changes = {"architecture": "htdemucs", "segment_samples": 1664, "network": {**sizes, "t_hidden_scale": 2.0, **network}}
    training, profiles = fields["training"], fields["profiles"]
    for profile in (training, *profiles.values()):
        profile["segment_seconds"] = 0.03774  # one segment
    return ModelSpec.model_validate({**fields, **changes, "training": training, "profiles": profiles})


def tiny_network(spec: ModelSpec, seed: int = 0) -> nn.Module:
    """Random weights, and norms whose gains have both signs."""
    torch.manual_seed(seed)
    network = build_network(spec)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, GlobalLayerNorm):
                module.gamma.uniform_(0.4, 1.4).mul_(torch.where(torch.rand(len(module.gamma)) < 0.2, -1.0, 1.0))
                module.beta.normal_(0, 0.2)
            if isinstance(module, nn.LayerNorm | nn.GroupNorm):
                module.weight.uniform_(0.4, 1.4).mul_(torch.where(torch.rand(len(module.weight)) < 0.2, -1.0, 1.0))
                module.bias.normal_(0, 0.2)
            if isinstance(module, LayerScale):
                module.scale.uniform_(0.2, 1.0)
            if isinstance(module, MonoDecoder | MonoFrameDecoder):
                module.weight.mul_(30)  # as loud as a mixture
    return network


def waveforms(count: int, samples: int, seed: int = 0) -> Tensor:
    """Noise bursts [count, samples] on the 16-bit grid, peaks between a half and full scale."""
    random = np.random.default_rng(seed)
    smooth = np.stack([np.convolve(row, np.hanning(9), "same") for row in random.normal(size=(count, samples))])
    smooth *= 0.3 + np.abs(np.sin(np.arange(samples) / samples * 9 + random.uniform(0, 3, (count, 1))))
    peaks = random.uniform(0.55, 0.95, (count, 1)) / np.abs(smooth).max(1, keepdims=True)
    return torch.from_numpy(np.rint(smooth * peaks * 32768) / 32768).float()


def quantized_network(spec: ModelSpec, recipe: Recipe, seed: int = 0) -> nn.Module:
    """A twin with observed ranges, in eval mode."""
    twin = quantize(tiny_network(spec, seed), recipe)
    observe(twin, [mixtures(spec, 2, seed + 10 + step) for step in range(8)])
    return twin.eval()


def mixtures(spec: ModelSpec, count: int, seed: int = 0) -> Tensor:
    """:func:`waveforms` of one segment in the shape that the network takes: [count, T] or [count, A, T]."""
    mono = waveforms(count * spec.audio_channels, spec.segment_samples, seed)
    return mono if spec.audio_channels == 1 else mono.unflatten(0, (count, spec.audio_channels))


def write_tracks(folder: Path, names: list[str], seconds: float = 0.3, rate: int = 44100) -> None:
    """Tracks in the layout of MUSDB18-HQ, ``names`` being "train/<track>" and "test/<track>": noise in bands of their own."""
    for number, name in enumerate(names):
        random, total = np.random.default_rng(number), np.zeros((round(seconds * rate), 2), np.int16)
        (folder / name).mkdir(parents=True)
        for width, stem in zip((3, 40, 10, 20), MUSIC_SOURCES, strict=True):
            noise = np.stack([np.convolve(random.normal(size=len(total)), np.hanning(width + 2), "same") for _ in range(2)], axis=1)
            pcm = np.rint(noise / np.abs(noise).max() * 6000).astype(np.int16)
            total += pcm
            soundfile.write(folder / name / f"{stem}.wav", pcm, rate, subtype="PCM_16")
        soundfile.write(folder / name / "mixture.wav", total, rate, subtype="PCM_16")


def write_speech(folder: Path, speakers: int = 3, utterances: int = 2, seconds: int = 1) -> list[tuple[str, Path]]:
    """(speaker, path) of made-up utterances: each voice a buzz of its own pitch in syllables."""
    files = []
    for speaker in range(speakers):
        for utterance in range(utterances):
            random = np.random.default_rng((speaker, utterance))
            time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
            buzz = sum(np.sin(2 * np.pi * (110 + 60 * speaker) * harmonic * time) / harmonic for harmonic in range(1, 8))
            waveform = 0.1 * buzz * np.abs(np.sin(2 * np.pi * random.uniform(2, 4) * time)) + 0.003 * random.normal(size=len(time))
            path = folder / f"voice{speaker}" / f"{utterance}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, waveform, SAMPLE_RATE, subtype="PCM_16")
            files.append((f"voice{speaker}", path))
    return files
