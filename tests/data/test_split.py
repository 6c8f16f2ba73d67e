"""The committed selection, and that no speaker or sentence is on two sides."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from pipeline.data.sources import EMBEDDED, open_embedded, open_folder
from pipeline.data.speech import Utterance
from pipeline.data.split import Split

PARTS = open_embedded().utterances


def speakers(utterances: Iterable[Utterance]) -> set[str]:
    return {speaker for speaker, _ in utterances}


def test_selection_is_small_and_whole() -> None:
    files = sorted((EMBEDDED / "voices").glob("*/*.flac"))
    assert sum(path.stat().st_size for path in files) <= 15e6
    assert sorted(path for part in PARTS.values() for _, path in part) == files
    assert {split: len(part) for split, part in PARTS.items()} == {"train": 145, "dev": 22, "test-seen": 63, "test-unseen": 63}


def test_voices_never_trained_on_are_nowhere_else() -> None:
    others = speakers(PARTS[Split.TRAIN]) | speakers(PARTS[Split.DEV]) | speakers(PARTS[Split.TEST_SEEN])
    assert len(speakers(PARTS[Split.TEST_UNSEEN])) >= 5
    assert not speakers(PARTS[Split.TEST_UNSEEN]) & others
    assert speakers(PARTS[Split.TEST_SEEN]) | speakers(PARTS[Split.DEV]) <= speakers(PARTS[Split.TRAIN])


def test_no_sentence_is_read_in_two_parts() -> None:
    with (EMBEDDED / "transcripts.tsv").open() as stream:
        texts = {row["utterance"]: row["text"] for row in csv.DictReader(stream, delimiter="\t")}
    assert set(texts) == {path.stem for part in PARTS.values() for _, path in part}
    by_part = [{texts[path.stem] for _, path in part} for part in PARTS.values()]
    assert sum(map(len, by_part)) == len(set.union(*by_part))


def test_a_selection_is_split_as_the_whole(tmp_path) -> None:
    chosen = [path for part in PARTS.values() for _, path in part][::7]
    for path in chosen:
        link = tmp_path / path.parent.name / path.name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
    copy = open_folder(tmp_path)
    for split, part in PARTS.items():
        assert {path.name for _, path in copy.utterances[split]} == {path.name for _, path in part if path in chosen}
