"""What the report plays and draws: every recording of the worst and the median, and spectrograms on one scale."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from validation.parity import Clip
from validation.players import heard, spectrogram

RATE = 8000


@pytest.mark.parametrize("hertz", [500, 1000, 3000])
@pytest.mark.parametrize("amplitude", [1.0, 0.01])
def test_a_sine_stands_at_its_frequency_and_level(hertz: int, amplitude: float) -> None:
    level = spectrogram(amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), RATE)
    assert level.shape[0] == 129
    assert set(level.argmax(axis=0)) == {hertz * 256 // RATE}
    assert level.max() == pytest.approx(20 * np.log10(amplitude), abs=0.01)


def test_silence_and_what_is_shorter_than_a_window_are_drawn() -> None:
    assert np.isfinite(spectrogram(np.zeros(RATE), RATE)).all()
    assert spectrogram(np.ones(3), RATE).shape == (129, 1)


def clip(folder: Path, kind: str, source: int | None, amplitude: float, rank: str = "worst", item: str = "m") -> Clip:
    path = folder / f"{item}-{kind}-{source}.flac"
    soundfile.write(path, amplitude * np.random.default_rng(0).standard_normal(RATE), RATE, subtype="PCM_16")
    return Clip(item=item, rank=rank, kind=kind, source=source, path=path.name, sha256="", loss_db=0.5)


def test_each_source_is_switched_between_its_recordings(tmp_path: Path) -> None:
    clips = [clip(tmp_path, "mixture", None, 0.2)]
    for source in (0, 1):
        clips += [clip(tmp_path, "clean", source, 0.1), clip(tmp_path, "difference", source, 0.001)]
    clips.append(clip(tmp_path, "mixture", None, 0.1, rank="sample", item="another"))
    (found,) = heard(clips, tmp_path)
    assert (found.item, found.rank, found.loss_db, found.mixture.title) == ("m", "worst", 0.5, "mixture")
    titles = [[player.title for player in switch.players] for switch in found.switches]
    assert titles == [["clean 1", "difference 1"], ["clean 2", "difference 2"]]
    head, _, data = found.switches[0].players[0].url.partition(",")
    assert head == "data:audio/flac;base64" and base64.b64decode(data) == (tmp_path / "m-clean-0.flac").read_bytes()
    head, _, data = found.switches[0].spectrograms.partition(",")
    assert head == "data:image/png;base64"
    picture = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))
    middle = picture[60:100, :, :3].sum(axis=2)
    left, right = middle[:, 150:300].mean(), middle[:, 450:600].mean()
    assert left > 1.5 > right, "40 dB less of the same noise is darker on a common scale"
    assert heard(clips, tmp_path) == heard(clips, tmp_path), "the same bytes again"


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    found = clip(tmp_path, "mixture", None, 0.1)
    (tmp_path / found.path).unlink()
    with pytest.raises(UserError, match=r"m-mixture-None\.flac is missing"):
        heard([found], tmp_path)
