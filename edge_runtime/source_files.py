"""Separated sources out: a file for each, at the recording's rate, length and level, written block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from edge_runtime.recording import Recording, Samples
from edge_runtime.signature import Pcm
from export_specs.foundation.atomic import atomic_path
from export_specs.foundation.errors import UserError

FormatName = Literal["wav", "flac"]
_LARGEST_WAV = (1 << 32) - (1 << 16)  # bytes; beyond, the header of a WAV cannot count them, and RF64's is written
_PROBE = bytes(1 << 20)


class Restorer:
    """int16 [S, n] or [S, A, n] at the model's rate as float64 at the recording's rate, length and level (1.0 is full scale)."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._stream: soxr.ResampleStream | None = None
        self._shape: tuple[int, ...] = ()
        self._due = recording.frames

    def push(self, separated: Pcm) -> Samples:
        """Take what is separated; give what can be restored now, [S, m] or [S, A, m] (m may be 0)."""
        samples = np.ldexp(separated.astype(np.float64), -15 - self._recording.exponent)
        self._shape = samples.shape[:-1]
        return self._resampled(samples.reshape(-1, samples.shape[-1]), last=False)

    def finish(self) -> Samples:
        """The samples that are still due, zeros where the resampler has none for them."""
        rest = self._resampled(np.zeros((int(np.prod(self._shape)), 0)), last=True)
        zeros, self._due = self._due, 0
        return np.concatenate([rest, np.zeros((*self._shape, zeros))], axis=-1)

    def _resampled(self, rows: Samples, last: bool) -> Samples:
        model_rate, rate = self._recording.model_rate, self._recording.rate
        if model_rate != rate:
            if self._stream is None:
                self._stream = soxr.ResampleStream(model_rate, rate, len(rows), dtype="float64", quality="VHQ")
            rows = self._stream.resample_chunk(np.ascontiguousarray(rows.T), last=last).reshape(-1, len(rows)).T
        rows = rows[:, : self._due]
        self._due -= rows.shape[-1]
        return rows.reshape(*self._shape, -1)


@contextmanager
def source_files(
    folder: Path, stem: str, sources: int, recording: Recording, kind: FormatName = "wav", names: Sequence[str] = ()
) -> Iterator[SourceFiles]:
    """Files for the sources of a recording, which are there when the block ends well: all, or none.

    They are ``<stem>_1.<kind>`` and so on, or ``<stem>_<name>.<kind>`` where the sources have names.

    Raises:
        UserError: the folder cannot be written to, or the format has no such rate.
    """
    paths = [folder / f"{stem}_{name}.{kind}" for name in names or range(1, sources + 1)]
    try:
        with ExitStack() as stack:
            temporaries = [stack.enter_context(atomic_path(path)) for path in paths]
            files = SourceFiles(paths, temporaries, recording, kind)
            with files:
                yield files
                files.finish()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


class SourceFiles:
    """Open files, one a source (:func:`source_files`); ``paths`` are their final places. 24 bits where the recording is wide, else 16."""

    def __init__(self, paths: list[Path], temporaries: list[Path], recording: Recording, kind: FormatName) -> None:
        self.paths, self._temporaries, self._recording, self._kind = paths, temporaries, recording, kind
        self._bits = 24 if recording.wide else 16
        self._restorer = Restorer(recording)
        self._open: list[soundfile.SoundFile] = []

    def __enter__(self) -> SourceFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open:
            file.close()

    def write(self, separated: Pcm) -> None:
        """Take int16 samples [S, n] or [S, A, n] at the model's rate, saturated where they leave full scale."""
        if separated.shape[-1]:
            self._write(self._restorer.push(separated))

    def finish(self) -> None:
        """Write what is still due."""
        self._write(self._restorer.finish())

    def _write(self, samples: Samples) -> None:
        top = 2.0 ** (self._bits - 1)
        codes: npt.NDArray[np.int32] = np.clip(np.rint(samples * top), -top, top - 1).astype(np.int32) << (32 - self._bits)
        channels = 1 if codes.ndim == 2 else codes.shape[1]
        for number, (temporary, part) in enumerate(zip(self._temporaries, codes, strict=True)):
            try:
                if len(self._open) <= number:
                    self._open.append(self._begun(temporary, channels))
                self._open[number].write(part.T)
            except soundfile.LibsndfileError as error:
                with temporary.open("ab") as probe:  # libsndfile does not tell why; if the disk is full, this does
                    probe.write(_PROBE)
                raise UserError(f"cannot write {self.paths[number]}: {str(error.error_string).removeprefix('Error : ')}") from error

    def _begun(self, path: Path, channels: int) -> soundfile.SoundFile:
        large = self._recording.frames * channels * self._bits // 8 > _LARGEST_WAV
        form = "RF64" if large and self._kind == "wav" else self._kind.upper()
        handle = os.open(path, os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC)  # a number, because soundfile takes no name that is not UTF-8
        return soundfile.SoundFile(handle, "w", self._recording.rate, channels, f"PCM_{self._bits}", format=form)
