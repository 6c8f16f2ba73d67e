"""The published layout of MUSDB18-HQ: ``{train,test}/<track>/{mixture,drums,bass,other,vocals}.wav``, stereo at 44.1 kHz."""

from __future__ import annotations

from pathlib import Path

from export_specs.foundation.errors import UserError
from pipeline.data.audio_files import visible_folders
from pipeline.data.music import Music, Track
from pipeline.data.split import Split

# of train/, by the musdb package; the others are trained on
VALIDATION_TRACKS = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)
VALIDATION_EVERY = 7  # of the tracks by name, where none of those is there: 14 of 100


def open_musdb18hq(folder: Path) -> Music:
    """MUSDB18-HQ, or a user's own tracks in its layout, below ``folder``.

    Raises:
        UserError: another layout, or too few tracks.
    """
    return Music(
        name="musdb18hq",
        synthetic=False,
        licence="of each track its own; MUSDB18-HQ is for academic use",
        description="Music in the layout of MUSDB18-HQ: drums, bass, other and vocals",
        tracks=split_tracks(folder),
    )


def split_tracks(folder: Path) -> dict[Split, list[Track]]:
    """The tracks of a folder in the layout, by split.

    Raises:
        UserError: another layout, or fewer than two tracks in ``train`` or none in ``test``.
    """
    parts = {part: [(path.name, path) for path in visible_folders(folder / part)] for part in ("train", "test")}
    if len(parts["train"]) < 2 or not parts["test"]:
        raise UserError(
            f"{folder} is not in the layout of MUSDB18-HQ: it needs train/ with two tracks or more and test/ with one, each track a folder "
            f"with drums.wav, bass.wav, other.wav and vocals.wav; found {len(parts['train'])} and {len(parts['test'])}"
        )
    named = {name for name, _ in parts["train"]} & set(VALIDATION_TRACKS)
    dev = named or {name for name, _ in parts["train"][1::VALIDATION_EVERY]}
    return {
        Split.TRAIN: [track for track in parts["train"] if track[0] not in dev],
        Split.DEV: [track for track in parts["train"] if track[0] in dev],
        Split.TEST_SEEN: [],
        Split.TEST_UNSEEN: parts["test"],
    }
