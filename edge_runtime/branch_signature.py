"""The signature of a model of two branches, spectrogram and waveform, behind a float front end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.model_file import Array, ModelFile
from edge_runtime.signature import Pcm, Signature, fit_signature
from edge_runtime.spectrogram import FrontEnd
from export_specs.foundation.errors import UserError


@dataclass(frozen=True)
class BranchSignature:
    """Inputs spectrogram [1, 2 A, Fr, F] and waveform [1, A, T]; outputs the same of S sources, S times the channels.

    ``waveform`` is the shape (A, T) of a segment. ``is_float``: the tensors are float32 and standardised, not int16 codes.
    """

    front_end: FrontEnd
    waveform: tuple[int, int]
    sources: int
    is_float: bool = False

    @property
    def samples(self) -> int:
        """T."""
        return self.waveform[-1]

    def feed(self, pcm: Pcm) -> tuple[list[Array], Callable[[Sequence[Array]], Pcm]]:
        """The model's inputs for int16 PCM [A, T], and what makes int16 PCM [S, A, T] of its outputs.

        Raises:
            ValueError: ``pcm`` is not int16 of the shape ``waveform``.
        """
        if pcm.dtype != np.int16 or pcm.shape != self.waveform:
            raise ValueError(f"a segment must be int16 {list(self.waveform)}, not {pcm.dtype} {list(pcm.shape)}")
        analyse, synthesise = (
            (self.front_end.standardise, self.front_end.restore) if self.is_float else (self.front_end.analyse, self.front_end.synthesise)
        )
        spectrogram, waveform, statistics = analyse(pcm)
        dtype = np.float32 if self.is_float else np.int16

        def decode(outputs: Sequence[Array]) -> Pcm:
            return synthesise(outputs[0][0], outputs[1][0], statistics).reshape(self.sources, *self.waveform)

        return [spectrogram[None].astype(dtype), waveform[None].astype(dtype)], decode


def signature_of(file: ModelFile) -> Signature | BranchSignature:
    """The signature of a model file: of two branches where its metadata ask for a front end, else of PCM.

    Raises:
        UserError: the file has other inputs or outputs; says which.
    """
    described = None if file.metadata is None else file.metadata.front_end
    if described is None:
        return fit_signature(file)
    front_end = FrontEnd.of(described)
    tensors = (*file.inputs, *file.outputs)
    found = ", ".join(map(str, tensors))
    if len(file.inputs) != 2 or len(file.outputs) != 2 or {tensor.dtype for tensor in tensors} not in ({"int16"}, {"float32"}):
        raise _refusal(file, "it has not two inputs and two outputs of int16 or of float32", found)
    (spectrogram, waveform), (parts, sources) = ([tensor.shape for tensor in side] for side in (file.inputs, file.outputs))
    if len(waveform) != 3 or len(sources) != 3 or sources[1] % waveform[1] or sources[2] != waveform[2]:
        raise _refusal(file, "its waveforms are not [1, A, T] and [1, S * A, T]", found)
    audio_channels, samples = waveform[1:]
    count = sources[1] // audio_channels
    plane = (front_end.n_fft // 2, -(-samples // (front_end.n_fft // 4)))
    if spectrogram != (1, 2 * audio_channels, *plane) or parts != (1, 2 * audio_channels * count, *plane):
        raise _refusal(file, f"its spectrograms do not have {plane[0]} frequencies and {plane[1]} frames for {samples} samples", found)
    return BranchSignature(front_end, (audio_channels, samples), count, tensors[0].dtype == "float32")


def _refusal(file: ModelFile, reason: str, found: str) -> UserError:
    return UserError(
        f"{file.path} asks for a front end, but {reason}. Expected spectrogram [1, 2 A, Fr, F] and waveform [1, A, T] in, "
        f"S times as many channels of both out; found {found}"
    )
