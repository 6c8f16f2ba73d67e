from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from export_specs.foundation.errors import UserError
from export_specs.load import load_model


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1", "not YAML"),
        (bytes(range(256)), "not YAML"),
        (b"", "not valid"),
        (b"- 1", "not valid"),
        (b"name: x", "sample_rate: Field"),
        (b"trainings: {}", "trainings: there is no such key; the keys here are architecture, .*, training"),
        (b"training: {step: 1}", r"training\.step: there is no such key; the keys here are .*steps"),
        (b"profiles: {quick: {step: 1}}", r"profiles\.quick\.step: there is no such key; the keys here are .*steps"),
    ],
)
def test_a_bad_spec_is_named_with_its_fault(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"mine\.yaml is {reason}|mine\.yaml is not valid.*{reason}"):
        load_model(str(path))


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        ("convtasnet", {"n_src": 3}, "n_src 3: no data set gives mixtures of other than two speakers.*; set n_src: 2"),
        ("dptnet", {"n_src": 3}, "n_src 3: no data set gives"),
        ("sepformer", {"n_src": 3}, "n_src 3: no data set gives"),
        ("htdemucs", {"n_src": 3}, "music is stereo with n_src: 4"),
        ("convtasnet", {"n_src": 1}, "n_src 1 is enhancement"),
        ("convtasnet", {"task": "enhancement"}, "n_src 2: enhancement has one source"),
        ("convtasnet-denoise-16k", {"n_src": 2}, "n_src 2: enhancement has one source"),
        ("convtasnet-music", {"n_src": 5}, "music is stereo with n_src: 4"),
        ("convtasnet-music", {"task": "separation", "n_src": 2}, "audio_channels 2: mixtures of separation are mono"),
    ],
)
def test_a_number_of_sources_that_no_data_set_has_is_refused(model: str, changes: dict[str, object], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**load_model(model).model_dump(mode="json"), **changes}))
    with pytest.raises(UserError, match=reason):
        load_model(str(path))


@pytest.mark.parametrize(
    ("model", "network", "reason"),
    [
        ("convtasnet", {}, "gLN.* over a whole segment; set causal: true"),
        ("convtasnet", {"norm": "frozen"}, "the convolutions look far ahead; set causal: true"),
        ("convtasnet-causal", {"kernel_size": 24, "stride": 16}, "kernel_size 24 must be a multiple of stride 16"),
        ("dptnet", {}, "LSTMs run in both directions"),
        ("sepformer", {}, "attention is over a whole segment"),
        ("htdemucs", {}, "attention is over a whole segment"),
        ("convtasnet-music", {}, "gLN.* over a whole segment"),
    ],
)
def test_a_network_that_cannot_stream_is_refused(model: str, network: dict[str, object], reason: str, tmp_path: Path) -> None:
    fields = load_model(model).model_dump(mode="json")
    fields["network"] |= network
    if "kernel_size" in network:
        fields["segment_samples"] = 24 + 16 * 1500
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**fields, "streaming": {"hop_frames": 4}}))
    with pytest.raises(UserError, match=rf"streaming: .*{reason}"):
        load_model(str(path))


@pytest.mark.parametrize(
    ("model", "network", "reason"),
    [
        ("convtasnet", {"lookahead_blocks": 1}, "lookahead_blocks are of a causal network"),
        ("convtasnet-causal", {"lookahead_blocks": 1, "conv_kernel_size": 4}, "lookahead_blocks .* whose conv_kernel_size is odd"),
        ("convtasnet-causal", {"lookahead_blocks": 15}, "lookahead_blocks 15: there are 14 blocks"),
    ],
)
def test_a_look_ahead_that_cannot_be_is_refused(model: str, network: dict[str, int], reason: str, tmp_path: Path) -> None:
    fields = load_model(model).model_dump(mode="json")
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**fields, "network": {**fields["network"], **network}}))
    with pytest.raises(UserError, match=reason):
        load_model(str(path))
