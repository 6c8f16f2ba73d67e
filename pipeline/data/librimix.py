"""The published layout of LibriMix: ``wav8k/min/{train-360,train-100,dev,test}/{s1,s2,mix_clean,mix_single,...}/<id>.wav``.

A mixture's id joins the ids of its utterances: ``1034-121119-0049_3728-6826-0025``; each begins with the speaker's number.
"""

from __future__ import annotations

import re
from pathlib import Path

from export_specs.foundation.errors import UserError
from pipeline.data.audio_files import audio_files
from pipeline.data.speech import Speech, Utterance
from pipeline.data.split import Split

TRAINING_PARTS = ("train-360", "train-100")  # the first that is there
ID = re.compile(r"(\d+)-\d+-\d+_(\d+)-\d+-\d+")


def open_librimix(folder: Path, sample_rate: int, noisy: bool = False) -> Speech:
    """LibriMix below ``folder``: Libri2Mix itself, its ``wav8k`` or ``wav16k``, or the ``min`` folder. The metadata tables are not needed.

    Args:
        noisy: its mixtures of two speakers with WHAM!'s noise, ``mix_both``, instead of ``mix_clean``.

    Raises:
        UserError: no such layout, a part is missing, or a file's name is no LibriMix id.
    """
    root = _root(folder, sample_rate)
    train = next((root / part for part in TRAINING_PARTS if (root / part / "s1").is_dir()), None)
    if train is None:
        raise UserError(f"{root} has no training part: {' or '.join(f'{part}/s1' for part in TRAINING_PARTS)} is needed")
    parts = {"calibration": train, "dev": root / "dev", "test": root / "test"}
    noise = audio_files(train / "noise")
    if noisy and not noise:
        raise UserError(f"{train / 'noise'} holds no audio; mixtures with noise are trained with it")
    return Speech(
        name="librimix-both" if noisy else "librimix",
        synthetic=False,
        licence="CC BY 4.0 (LibriSpeech); noise CC BY-NC 4.0 (WHAM!)",
        description=f"Libri2Mix as published{', with noise' if noisy else ''}, {train.name}, dev and test; "
        "its speakers of test are in no other part",
        utterances={
            Split.TRAIN: _sources(train),
            Split.DEV: _sources(parts["dev"]),
            Split.TEST_SEEN: [],
            Split.TEST_UNSEEN: _sources(parts["test"]),
        },
        published=parts,
        noisy=noisy,
        noise=noise,
    )


def speakers_of(path: Path) -> tuple[str, str]:
    """The two speakers of a mixture, by its file name.

    Raises:
        UserError: the name is no LibriMix id.
    """
    match = ID.fullmatch(path.stem)
    if match is None:
        raise UserError(f"{path}: a Libri2Mix file is named like 1034-121119-0049_3728-6826-0025.wav")
    return match[1], match[2]


def _root(folder: Path, sample_rate: int) -> Path:
    rates = dict.fromkeys((f"wav{sample_rate // 1000}k", "wav16k", "wav8k"))
    places = [folder, folder / "min", *(folder / top / rate / "min" for rate in rates for top in ("", "Libri2Mix"))]
    found = next((place for place in places if (place / "test" / "s1").is_dir()), None)
    if found is None:
        raise UserError(f"{folder} is not in the layout of LibriMix: neither it nor min, wav8k/min or wav16k/min in it holds test/s1")
    return found


def _sources(part: Path) -> list[Utterance]:
    files = [(number, path) for number in (0, 1) for path in audio_files(part / f"s{number + 1}")]
    if not files:
        raise UserError(f"{part} holds no audio in s1 and s2")
    return [(speakers_of(path)[number], path) for number, path in files]
