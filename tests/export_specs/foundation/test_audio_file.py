"""Audio files of any kind, whole, cut, garbled and through pipes: their samples, or one sentence that says what is wrong."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export_specs.foundation.audio_file import open_audio
from export_specs.foundation.errors import UserError

PCM = np.random.default_rng(0).integers(-9000, 9000, (4000, 2)).astype(np.int16)


def read(path: Path) -> NDArray[np.float64]:
    with open_audio(path) as audio:
        return np.concatenate([np.zeros((0, audio.channels)), *audio.blocks()])


def warnings_of(path: Path) -> str:
    with open_audio(path) as audio:
        return " ".join(audio.warnings)


def wav_with_sizes(path: Path, riff: int, data: int) -> Path:
    """A WAV of PCM whose header says ``riff`` and ``data`` bytes."""
    soundfile.write(path, PCM, 8000)
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        *(("a.wav", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        ("a.flac", "PCM_24"),
        ("a.aiff", "PCM_16"),
        ("a.au", "PCM_16"),
        ("a.caf", "PCM_16"),
        ("a.w64", "PCM_16"),
    ],
)
def test_formats(name: str, subtype: str, tmp_path: Path) -> None:
    coarse = PCM // 256 * 256  # exact with 8 bits too
    soundfile.write(tmp_path / name, coarse / 32768, 44100, subtype=subtype)
    np.testing.assert_array_equal(read(tmp_path / name) * 32768, coarse)
    with open_audio(tmp_path / name) as audio:
        assert (audio.rate, audio.channels, audio.subtype, audio.frames, audio.warnings) == (44100, 2, subtype, 4000, ())


@pytest.mark.parametrize("name", ["a.raw", "a", "a.mp3", "ä.wav", "a.flac", os.fsdecode(b"\xff.wav")])
def test_a_name_promises_nothing(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", PCM, 8000)
    (tmp_path / "a.wav").rename(tmp_path / name)
    np.testing.assert_array_equal(read(tmp_path / name) * 32768, PCM)


@pytest.mark.parametrize("sizes", [(0, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFFF - 36), (0xFFFFFFFF, 0xFFFFFFFF - 44)])
def test_a_wav_from_a_pipe_is_read_to_its_end(sizes: tuple[int, int], tmp_path: Path) -> None:
    path = wav_with_sizes(tmp_path / "a.wav", *sizes)
    np.testing.assert_array_equal(read(path) * 32768, PCM)
    assert "written to a pipe" in warnings_of(path)


def test_an_empty_wav_is_empty_and_a_cut_one_says_so(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", PCM[:0], 8000)
    assert read(tmp_path / "none.wav").shape == (0, 2)
    soundfile.write(tmp_path / "cut.wav", PCM, 8000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:8044])
    np.testing.assert_array_equal(read(tmp_path / "cut.wav") * 32768, PCM[:2000])
    assert "promises 16000 bytes of samples, 8000 are there" in warnings_of(tmp_path / "cut.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.caf", "a.aiff"])
def test_through_a_pipe(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / name, PCM, 8000)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / name).read_bytes()))
    writer.start()
    piped = read(tmp_path / "pipe")
    writer.join()
    np.testing.assert_array_equal(piped, read(tmp_path / name))


def test_through_standard_input(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom export_specs.foundation.audio_file import open_audio\n"
        "with open_audio(Path('/dev/stdin')) as audio: print(sum(len(block) for block in audio.blocks()))"
    )
    content = wav_with_sizes(tmp_path / "a.wav", 0, 0).read_bytes()
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    assert done.stdout.split() == [b"4000"]


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    (tmp_path / "noise.raw").write_bytes(np.random.default_rng(1).bytes(3000))
    soundfile.write(tmp_path / "cut.flac", PCM, 8000)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "cut.flac").read_bytes()[:9000])
    for name, reason in (
        ("noise.raw", "not audio that soundfile reads.*without a header.*sox"),
        ("cut.flac", r"cut\.flac is damaged or cut off"),
        ("gone.wav", "gone.wav is not there"),
        ("", "is a folder"),
        ("a\0b", "no file has a name like"),
        ("x" * 300, "File name too long"),
        ("/dev/zero", "a device"),
        ("cut.flac/below", "Not a directory"),
    ):
        with pytest.raises(UserError, match=reason):
            read(tmp_path / name)


@pytest.fixture(scope="module")
def samples_of_formats(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("formats")
    formats: list[tuple[str, dict[str, Any]]] = [
        ("a.wav", {}),
        ("b.wav", {"subtype": "FLOAT"}),
        ("c.wav", {"subtype": "MS_ADPCM"}),
        ("d.flac", {}),
        ("e.ogg", {}),
        ("f.aiff", {"subtype": "PCM_24"}),
        ("g.au", {}),
        ("h.caf", {"subtype": "ALAC_16"}),
        ("i.mp3", {}),
    ]
    for name, options in formats:
        soundfile.write(folder / name, PCM[:, :1], 8000, **options)
    return [(folder / name).read_bytes() for name, _ in formats]


@given(st.integers(0, 8), st.integers(0, 3000), st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbled_files_are_read_or_refused_in_a_sentence(
    samples_of_formats: list[bytes], tmp_path: Path, which: int, kept: int, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    content = bytearray(samples_of_formats[which])
    content = content[: kept if data.draw(st.booleans()) else len(content)]
    for place, value in changes:
        if place < len(content):
            content[place] = value
    path = tmp_path / f"garbled{data.draw(st.sampled_from(['.wav', '.flac', '.raw', '', '.ogg']))}"
    path.write_bytes(content)
    refusal = ""
    try:
        with open_audio(path) as audio:
            total = 0
            for block in audio.blocks():
                total += len(block)
                assert block.shape[1] == audio.channels
                if total > 100_000:
                    break
    except UserError as error:
        refusal = str(error)
    assert not refusal or (str(path) in refusal and "\n" not in refusal)
