"""What identifies a data set, so that stages are redone when it changes, and the names that DATA takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from export_specs.foundation.errors import UserError
from pipeline.stages import data_choice
from pipeline.stages.data_choice import data_identity

EARLY = 1_000_000_000  # in ns


def written(path: Path, text: str, time: int = EARLY) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(time, time))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder whose name has a colon, as times have."""
    written(tmp_path / "at 9:30" / "one" / "a.wav", "aaaa")
    return tmp_path / "at 9:30"


@pytest.mark.parametrize("kind", ["folder", "librimix", "musdb18hq"])
def test_a_users_folder_changes_with_names_sizes_and_times(kind: str, people: Path) -> None:
    """And not with contents, which would all have to be read."""
    name = f"{kind}:{people}"
    found = [data_identity(name)]
    written(people / "one" / "a.wav", "bbbb")
    assert data_identity(name) == found[0]
    written(people / "one" / "a.wav", "longer")
    found.append(data_identity(name))
    written(people / "one" / "a.wav", "longer", EARLY + 1)
    found.append(data_identity(name))
    (people / "one" / "a.wav").rename(people / "one" / "b.wav")
    found.append(data_identity(name))
    written(people / "two" / "b.wav", "new")
    found.append(data_identity(name))
    assert len(set(found)) == 5


def test_a_folder_that_is_moved_away_is_another(people: Path) -> None:
    """The folders lie in the identity by their names from the set's own down; the set by the name it was given."""
    first = data_identity(f"folder:{people}")
    people.rename(people.with_name("people"))
    assert data_identity(f"folder:{people.with_name('people')}") != first


@pytest.mark.parametrize(("name", "room"), [("embedded", "EMBEDDED"), ("rendered-stems", "EMBEDDED"), ("embedded-stems", "STEMS")])
def test_what_ships_changes_with_its_contents_alone(name: str, room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout has times of its own, and may lie anywhere."""
    found = set()
    for place, text, time in (("here", "aaaa", EARLY), ("there", "aaaa", EARLY + 5), ("there", "bbbb", EARLY)):
        written(tmp_path / place / "voices" / "a.flac", text, time)
        monkeypatch.setattr(data_choice, room, tmp_path / place)
        found.add(data_identity(name))
    assert len(found) == 2


def test_sets_that_are_downloaded_are_known_by_name() -> None:
    assert data_identity("debian-voices") == data_identity("debian-voices") != data_identity("embedded")


def test_a_list_changes_with_its_settings_and_with_its_parts(people: Path, tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    found = []
    for weight in (1, 2):
        path.write_text(yaml.safe_dump({"name": "mix", "parts": [{"data": "embedded"}, {"data": "folder:at 9:30", "weight": weight}]}))
        found.append(data_identity(str(path)))
    written(people / "one" / "a.wav", "longer")
    found.append(data_identity(str(path)))
    assert len(set(found)) == 3


@pytest.mark.parametrize("name", ["nope", "folder", "folder:", "folder:DIR:", "embedded:x", "folder:DIR", "librimix:DIR"])
def test_another_name_is_refused_with_the_right_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = "LIST.yaml, debian-voices, embedded, embedded-stems, folder:DIR, librimix-both:DIR, librimix:DIR, musdb18hq:DIR, rendered-stems"
    with pytest.raises(UserError, match=rf"there is no folder DIR|^unknown data set '{name}'. Choose one of: {names}\.$"):
        data_identity(name)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^DATA=folder:{tmp_path}/nowhere: there is no folder {tmp_path}/nowhere$"):
        data_identity(f"folder:{tmp_path}/nowhere")
