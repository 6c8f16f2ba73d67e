"""Short-time Fourier transform and back, aligned so that T samples are ceil(T / hop) frames, as HTDemucs has it; float."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MARGIN = 2  # frames at each end that see padding alone


def to_spectrogram(waveform: Tensor, n_fft: int) -> Tensor:
    """Waveform [B, A, T] to [B, n_fft / 2, F, 2 A]: real and imaginary part of each audio channel, without the highest frequency."""
    hop = n_fft // 4
    frames = -(-waveform.shape[-1] // hop)
    pad = hop // 2 * 3
    padded = functional.pad(waveform, (pad, pad + frames * hop - waveform.shape[-1]), mode="reflect")
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(padded.flatten(0, 1), n_fft, hop, window=window, normalized=True, pad_mode="reflect", return_complex=True)
    parts = torch.view_as_real(spectrum[:, :-1, MARGIN : MARGIN + frames])  # [B * A, Fr, F, 2]
    spectrogram: Tensor = parts.unflatten(0, waveform.shape[:2]).permute(0, 2, 3, 1, 4).flatten(3)
    return spectrogram


def to_waveform(spectrogram: Tensor, n_fft: int, samples: int) -> Tensor:
    """The inverse: [B, n_fft / 2, F, 2 A] to [B, A, samples]."""
    hop = n_fft // 4
    pad = hop // 2 * 3
    parts = spectrogram.unflatten(3, (-1, 2)).permute(0, 3, 1, 2, 4)  # [B, A, Fr, F, 2]
    spectrum = torch.view_as_complex(functional.pad(parts, (0, 0, MARGIN, MARGIN, 0, 1)).contiguous())
    length = -(-samples // hop) * hop + 2 * pad
    window = torch.hann_window(n_fft, device=spectrogram.device)
    padded = torch.istft(spectrum.flatten(0, 1), n_fft, hop, window=window, normalized=True, length=length)
    waveform: Tensor = padded[:, pad : pad + samples].unflatten(0, spectrum.shape[:2])
    return waveform
