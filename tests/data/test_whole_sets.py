"""Lists of whole test sets: what each data set gives, in the judge's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from export_specs.foundation.errors import UserError
from pipeline.data.whole_sets import whole_set
from tests.data.test_data_sets import write_folder, write_librimix
from tests.tiny import write_tracks
from validation.whole_set.files import WholeSet, read_item


def test_librimix_as_published_and_its_pairs_at_each_level(tmp_path: Path) -> None:
    write_librimix(tmp_path)
    whole = WholeSet.model_validate(whole_set(f"librimix:{tmp_path}", "separation", 8000, None, [-10, 10]))
    assert [(item.id[:3], item.subset, item.snr_db) for item in whole.items[:3]] == [
        ("120", "as published", None), ("120", "pairs at -10 dB", -10), ("120", "pairs at 10 dB", 10),
    ]  # fmt: skip
    assert len(whole.items) == 9 and len({item.id for item in whole.items}) == 9
    assert all(read_item(whole, item).sources.shape == (2, 16000) for item in whole.items)


def test_librimix_of_speech_in_noise(tmp_path: Path) -> None:
    write_librimix(tmp_path)
    whole = WholeSet.model_validate(whole_set(f"librimix:{tmp_path}", "enhancement", 8000, 2, [-10]))
    assert [item.subset for item in whole.items] == ["as published"] * 2
    item = read_item(whole, whole.items[0])
    assert item.sources.shape == (1, 16000) and (item.mixture != item.sources[0]).any()


def test_librimix_of_two_speakers_in_noise(tmp_path: Path) -> None:
    """Read whole, the noise is what the mixture holds beside the sources; pairs without it would be another test."""
    write_librimix(tmp_path)
    whole = WholeSet.model_validate(whole_set(f"librimix-both:{tmp_path}", "separation", 8000, None, [-10]))
    assert [item.subset for item in whole.items] == ["as published"] * 3
    item = read_item(whole, whole.items[0])
    noise = soundfile.read(tmp_path / "test" / "noise" / Path(str(whole.items[0].mixture)).name, dtype="int16")[0]
    assert item.sources.shape == (2, 16000) and np.abs(item.mixture - item.sources.sum(axis=0) - noise).max() <= 2


def test_pairs_of_a_user_s_own_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    whole = WholeSet.model_validate(whole_set(f"folder:{tmp_path}", "separation", 8000, 4, [0]))
    assert [item.subset for item in whole.items] == ["pairs at 0 dB"] * 4 and len({item.id for item in whole.items}) == 4
    assert whole == WholeSet.model_validate(whole_set(f"folder:{tmp_path}", "separation", 8000, 4, [0])), "the same again"
    with pytest.raises(UserError, match="give levels"):
        whole_set(f"folder:{tmp_path}", "separation", 8000, 4, [])
    with pytest.raises(UserError, match=r"no published mixtures of speech and noise; librimix:DIR has"):
        whole_set(f"folder:{tmp_path}", "enhancement", 8000, 4, [0])


def test_whole_tracks(tmp_path: Path) -> None:
    write_tracks(tmp_path, ["train/a", "train/b", "test/c", "test/d"])
    whole = WholeSet.model_validate(whole_set(f"musdb18hq:{tmp_path}", "music", 44100, None, []))
    assert whole.source_names == ["drums", "bass", "other", "vocals"] and whole.audio_channels == 2
    item = read_item(whole, whole.items[0])
    assert item.named and item.sources.shape[:2] == (4, 2) and item.mixture.shape == item.sources.shape[1:]


def test_more_than_there_are(tmp_path: Path) -> None:
    write_librimix(tmp_path)
    with pytest.raises(UserError, match="there are 3, 4 are wanted"):
        whole_set(f"librimix:{tmp_path}", "separation", 8000, 4, [])
