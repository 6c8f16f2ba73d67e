"""Opening audio by its content: whatever its name ends with, through a pipe too, and with the true reason where it cannot be read."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from export_specs.foundation.errors import UserError
from export_specs.foundation.file_kind import true_kind

BLOCK_SAMPLES = 1 << 17  # of all channels together
_UNKNOWN_FRAMES = 1 << 62  # libsndfile's number of frames where a header does not tell it (FLAC and Ogg from a pipe)
_OPEN_SIZES = (0xFFFFFFFF, 0x7FFFFFFF)  # what programs write into the header of a WAV that they cannot go back to
_SLACK = 4096  # by as much such a program may be off, because it counts its own header or rounds down
_HEADERLESS = "audio without a header (.raw, .pcm) has to be given one: sox -t raw -r RATE -e signed-integer -b 16 -c 1 FILE FILE.wav"
_CONVERT = "convert it first: ffmpeg -i FILE FILE.wav"


class AudioFile:
    """An audio file that is read from its beginning to its end, block by block, as often as wanted.

    ``rate`` in Hz, ``channels`` and ``subtype`` (soundfile's name of the sample format) are those of the header. ``frames`` is what the
    header says, and None where it does not tell. ``warnings`` are what a user should know of the file.
    """

    def __init__(self, path: Path, begin: Callable[[], _Forward], warnings: tuple[str, ...]) -> None:
        self.path, self.warnings = path, warnings
        self._begin = begin
        with begin() as sound:
            self.rate: int = sound.samplerate
            self.channels: int = sound.channels
            self.subtype: str = sound.subtype
            self.frames: int | None = sound.frames if sound.frames < _UNKNOWN_FRAMES else None

    def blocks(self) -> Iterator[npt.NDArray[np.float64]]:
        """The file from its beginning, float64 [n, channels] with 1.0 as full scale, piece by piece.

        Raises:
            UserError: the file is damaged; the message says from where on.
        """
        done, frames = 0, max(1, BLOCK_SAMPLES // self.channels)
        with self._begin() as sound:
            while True:
                try:
                    block = sound.read(frames, dtype="float64", always_2d=True)
                except soundfile.LibsndfileError as error:
                    place = f"from {done / self.rate:.2f} s on" if done else "from its beginning on"
                    raise UserError(f"{self.path} is damaged or cut off {place} ({_told(error)}): copy it again") from error
                if not len(block):
                    return
                done += len(block)
                yield block


@contextmanager
def open_audio(path: Path) -> Iterator[AudioFile]:
    """Open an audio file of any format that soundfile reads. A pipe is first copied to a temporary file.

    A WAV that was written to a pipe, whose header says that it holds nothing, is read to its end.

    Raises:
        UserError: no such file, a folder, not to be read, or not audio; says what it is instead.
    """
    with ExitStack() as stack:
        yield _opened(path, stack)


def _opened(path: Path, stack: ExitStack) -> AudioFile:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISFIFO(mode) and not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a device, not a file"
            raise UserError(f"{path} is {what}: name a recording (WAV, FLAC, Ogg and what else soundfile reads), or a pipe")
        stream: io.BufferedReader = stack.enter_context(path.open("rb"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there: name a recording (WAV, FLAC, Ogg and what else soundfile reads)") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero byte
        raise UserError(f"no file has a name like {str(path)!r}") from error
    readable = path
    if stat.S_ISFIFO(mode):
        readable = _copied(stream, stack)
        stream = stack.enter_context(readable.open("rb"))
    size = os.fstat(stream.fileno()).st_size
    header = _WavHeader.of(stream, size)
    warnings, size_to_set = [], None
    if header is not None and header.is_open:
        warnings.append(f"{path} was written to a pipe, so that its header does not tell its length: it is read to its end")
        size_to_set = size - header.start if header.stated == 0 else None
    elif header is not None and header.stated > size - header.start:
        have, wanted = size - header.start, header.stated
        warnings.append(f"{path} is cut off: its header promises {wanted} bytes of samples, {max(0, have)} are there and are read")

    def begin() -> _Forward:
        if header is not None and size_to_set is not None:
            stream.seek(0)
            return _Forward(_WithSize(stream, header.place, size_to_set))
        # a number instead of a name, because soundfile takes a name that ends with .raw for a promise
        return _Forward(os.open(readable, os.O_RDONLY | os.O_CLOEXEC))

    try:
        audio = AudioFile(path, begin, tuple(warnings))
    except soundfile.LibsndfileError as error:
        raise UserError(_not_audio(path, readable, error)) from error
    if audio.frames == 0 and size > _SLACK and header is None:
        raise UserError(f"{path} holds {size} bytes, but its header tells of no samples: was it written to a pipe? {_CONVERT}")
    return audio


def _copied(pipe: io.BufferedReader, stack: ExitStack) -> Path:
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recording-"))) / "piped"
    with copy.open("wb") as stream:
        shutil.copyfileobj(pipe, stream, 1 << 20)
    return copy


def _not_audio(path: Path, readable: Path, error: soundfile.LibsndfileError) -> str:
    kind = true_kind(readable)
    if kind is None:
        return f"{path} is not audio that soundfile reads ({_told(error)}): {_HEADERLESS}"
    known = kind.startswith(("an MP4", "a Windows", "a Matroska", "an Ogg", "MP3", "FLAC", "a RIFF"))
    return f"{path} is not audio that soundfile reads: it is {kind}" + (f" ({_told(error)}); {_CONVERT}" if known else "")


def _told(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that never seeks, which it would do after each read; FLAC of unknown length cannot."""

    def seekable(self) -> bool:
        return False


class _WavHeader:
    """Of a WAV file: the ``place`` of the size of its samples in the header, what is ``stated`` there, and where the samples ``start``."""

    def __init__(self, riff: int, place: int, stated: int, size: int) -> None:
        self.place, self.stated, self.start = place, stated, place + 4
        behind = size - (riff + 8) > 1  # bytes of which the header knows nothing
        self.is_open = size > self.start and (any(0 <= mark - stated <= _SLACK for mark in _OPEN_SIZES) or (stated == 0 and behind))

    @classmethod
    def of(cls, stream: io.BufferedReader, size: int) -> _WavHeader | None:
        """The header, None where it is not a WAV file with samples in it."""
        start = stream.read(12)
        if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
            return None
        place = 12
        while len(chunk := stream.read(8)) == 8:
            length = int(struct.unpack("<I", chunk[4:])[0])
            if chunk[:4] == b"data":
                return cls(struct.unpack("<I", start[4:8])[0], place + 4, length, size)
            place += 8 + length + length % 2
            if place > size:
                return None
            stream.seek(place)
        return None


class _WithSize(io.RawIOBase):
    """A WAV file in which the size of the samples is another one."""

    def __init__(self, stream: io.BufferedReader, place: int, size: int) -> None:
        self._stream, self._place, self._size = stream, place, struct.pack("<I", min(size, 0xFFFFFFFF))

    def readinto(self, buffer: Any) -> int:
        start, count = self._stream.tell(), self._stream.readinto(buffer)
        for offset, value in enumerate(self._size, self._place - start):
            if 0 <= offset < count:
                memoryview(buffer).cast("B")[offset] = value
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
