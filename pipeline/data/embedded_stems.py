"""Songs that lie in the repository, so that the networks for music need nothing but it; ``python -m pipeline.data.embedded_stems FOLDER``
makes them again from those of ``rendered_stems``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import soundfile
import typer

from export_specs.foundation.errors import UserError, run_command_line
from export_specs.foundation.progress import tracked
from export_specs.schema import MUSIC_SOURCES
from pipeline.data.musdb18hq import split_tracks
from pipeline.data.music import Music
from pipeline.data.rendered_stems import SAMPLE_RATE, open_rendered_stems
from pipeline.data.speech import Speech
from pipeline.data.split import Split

STEMS = Path(__file__).parents[2] / "data" / "embedded-stems"
SONGS = {"train": 7, "test": 8}
SECONDS = 16
QUALITY = 0.4  # of Vorbis; 0.7 MB a song
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def open_embedded_stems(root: Path = STEMS) -> Music:
    """The songs of the repository.

    Raises:
        UserError: they are not there.
    """
    if not root.is_dir():
        raise UserError(f"the embedded songs are missing: {root} should hold them; check the repository out again")
    return Music(
        name="embedded-stems",
        synthetic=True,
        licence="songs of this program, soundfont FluidR3 (MIT), speech: Apache-2.0 (synthetic speech, made with Kokoro-82M)",
        description="Made-up songs rendered by fluidsynth; the vocals are re-pitched speech, no singing",
        tracks=split_tracks(root),
    )


def write_embedded_stems(speech: Speech, out: Path, seconds: float = SECONDS, songs: dict[str, int] = SONGS) -> None:
    """Render songs and write their beginnings as Ogg Vorbis into ``out``, which is made.

    Raises:
        UserError: fluidsynth or its soundfont is missing.
    """
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".") as cache:
        tracks = open_rendered_stems(speech, Path(cache), songs).tracks
        chosen = [("train", track) for split in (Split.TRAIN, Split.DEV) for track in tracks[split]]
        chosen += [("test", track) for track in tracks[Split.TEST_UNSEEN]]
        for part, (name, folder) in tracked(chosen, "songs are encoded, song"):
            (out / part / name).mkdir(parents=True)
            for stem in MUSIC_SOURCES:
                sound, rate = soundfile.read(folder / f"{stem}.wav", round(seconds * SAMPLE_RATE), dtype="float32")
                soundfile.write(out / part / name / f"{stem}.ogg", sound, rate, "VORBIS", format="OGG", compression_level=1 - QUALITY)


@app.command()
def main(out: Annotated[Path, typer.Argument(help="Folder to make.")]) -> None:
    """Make the embedded songs again."""
    from pipeline.data.sources import open_embedded

    write_embedded_stems(open_embedded(), out)


if __name__ == "__main__":
    run_command_line(app)
