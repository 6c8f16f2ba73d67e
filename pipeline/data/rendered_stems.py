"""Rendered stems: made-up songs played by fluidsynth, with re-pitched speech in place of vocals, in the layout of MUSDB18-HQ.

Everything follows from the seed, the soundfont and the speech. Test songs have other tunes and other voices than those trained on.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from export_specs.foundation.errors import UserError
from export_specs.schema import MUSIC_SOURCES
from pipeline.data.midi_songs import compose
from pipeline.data.mixing import PEAK_LIMIT, Waveform, at_loudness, load_utterance, loudness
from pipeline.data.musdb18hq import split_tracks
from pipeline.data.music import AUDIO_CHANNELS, Music
from pipeline.data.speech import Speech, Utterance
from pipeline.data.split import Split

CACHE = Path(__file__).parents[2] / ".cache" / "rendered-stems"
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SAMPLE_RATE = 44100
SEED = 0
SONGS = {"train": 56, "test": 8}
SECONDS = 20.0
PITCH = (0.8, 1.3)  # of the speech, and with it its speed
PAUSE_SECONDS = (0.2, 1.5)
LEVELS_LUFS = {"drums": (-26.0, -18.0), "bass": (-26.0, -19.0), "other": (-26.0, -18.0), "vocals": (-25.0, -17.0)}


def open_rendered_stems(speech: Speech, cache: Path = CACHE, songs: dict[str, int] = SONGS, seconds: float = SECONDS) -> Music:
    """The songs, rendered into ``cache`` unless they are there.

    Args:
        speech: for the vocals; training songs take its training utterances, test songs those of unseen voices.

    Raises:
        UserError: fluidsynth or its soundfont is missing, or fails.
    """
    folder = cache / f"seed-{SEED}"
    voices = {"train": speech.utterances[Split.TRAIN], "test": speech.utterances[Split.TEST_UNSEEN]}
    for part, (name, count) in enumerate(songs.items()):
        for number in range(count):
            song = folder / name / f"song-{number:02d}"
            if not song.is_dir():
                render_song(song, np.random.default_rng((SEED, part, number)), voices[name], seconds)
    return Music(
        name="rendered-stems",
        synthetic=True,
        licence="songs of this program, soundfont FluidR3 (MIT), speech: " + speech.licence,
        description="Made-up songs rendered by fluidsynth; the vocals are re-pitched speech, no singing",
        tracks=split_tracks(folder),
    )


def render_song(folder: Path, random: np.random.Generator, voices: Sequence[Utterance], seconds: float) -> None:
    """Write the five files of a song, whole or not at all.

    Raises:
        UserError: fluidsynth or its soundfont is missing, or fails.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    samples = round(seconds * SAMPLE_RATE)
    stems = {name: _played(midi, samples) for name, midi in compose(random, seconds).items()}
    stems["vocals"] = _spoken(random, voices, samples)
    levelled = np.stack([_levelled(stems[name], random.uniform(*LEVELS_LUFS[name])) for name in MUSIC_SOURCES])
    peak = max(float(np.abs(levelled).max()), float(np.abs(levelled.sum(axis=0)).max()))
    pcm = np.rint(levelled * min(1.0, PEAK_LIMIT / peak) * 32767).astype(np.int16)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".song-") as name:
        fresh = Path(name) / "new"
        fresh.mkdir()
        for stem, codes in zip((*MUSIC_SOURCES, "mixture"), (*pcm, pcm.sum(axis=0, dtype=np.int16)), strict=True):
            soundfile.write(fresh / f"{stem}.wav", codes.T, SAMPLE_RATE, subtype="PCM_16")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # or else another process of the same training was faster, with the same song
                raise


def _played(midi: bytes, samples: int) -> Waveform:
    """A MIDI file as fluidsynth plays it, dry: [2, samples].

    Raises:
        UserError: fluidsynth or its soundfont is missing, or fails.
    """
    program = shutil.which("fluidsynth")
    if program is None or not SOUNDFONT.is_file():
        lacking = "the program fluidsynth" if program is None else f"the soundfont {SOUNDFONT}"
        raise UserError(
            f"DATA=rendered-stems needs {lacking}: install Debian's packages fluidsynth and fluid-soundfont-gm "
            "(`apt-get install fluidsynth fluid-soundfont-gm`), or bring music with DATA=musdb18hq:DIR"
        )
    with tempfile.TemporaryDirectory() as name:
        song, played = Path(name) / "song.mid", Path(name) / "song.wav"
        song.write_bytes(midi)
        options = ["-n", "-i", "-q", "-R", "0", "-C", "0", "-g", "0.6", "-r", str(SAMPLE_RATE), "-O", "s16", "-T", "wav"]
        command = [program, *options, "-F", str(played), str(SOUNDFONT), str(song)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not played.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            raise UserError(f"fluidsynth failed: {lines[-1]}")
        sound, _ = soundfile.read(played, samples, dtype="float32", always_2d=True)
    return np.pad(sound, ((0, samples - len(sound)), (0, 0))).T.astype(np.float32)


def _spoken(random: np.random.Generator, voices: Sequence[Utterance], samples: int) -> Waveform:
    """Utterances of one speaker at one pitch with pauses between them, in the middle: [2, samples]."""
    speakers = sorted({speaker for speaker, _ in voices})
    speaker = speakers[int(random.integers(len(speakers)))]
    paths = [path for other, path in voices if other == speaker]
    pitch = random.uniform(*PITCH)
    line = np.zeros(0, np.float32)
    while len(line) < samples:
        utterance = load_utterance(paths[int(random.integers(len(paths)))], SAMPLE_RATE)
        sung = soxr.resample(utterance, pitch * SAMPLE_RATE, SAMPLE_RATE, quality="HQ").astype(np.float32)
        pause = np.zeros(round(random.uniform(*PAUSE_SECONDS) * SAMPLE_RATE), np.float32)
        line = np.concatenate([line, pause, sung])
    return np.tile(line[:samples], (AUDIO_CHANNELS, 1))


def _levelled(stem: Waveform, lufs: float) -> Waveform:
    return at_loudness(stem, loudness(np.ascontiguousarray(stem.T), SAMPLE_RATE), lufs)
