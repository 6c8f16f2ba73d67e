"""Evaluation sets: folders of 16-bit WAV files and a ``manifest.json``, each mixture exactly the sum of its parts.

``test``: LibriMix levels, half of seen voices (sentences not trained on), half of voices never trained on. ``sweep``: the same
kind of pairs at -10, 0 and 10 dB. ``dev``: levels of LibriMix. ``calibration``: from the training part. Everything follows
from the files and the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from export_specs.foundation.errors import UserError, choice_error
from export_specs.schema import Task
from pipeline.data.mixing import LOUDNESS_LUFS, Waveform, at_loudness, load_utterance, loudness, mix_at_snr, peak_limited
from pipeline.data.noise import BABBLE_VOICES, background
from pipeline.data.published import published_layout, published_mixtures
from pipeline.data.set_folder import Mixture, write_set
from pipeline.data.speech import Speech, Utterance
from pipeline.data.split import Split

TASKS = get_args(Task)
PEOPLE = ("test", "unseen", "all")
SWEEP_DB = (-10.0, 0.0, 10.0)
CALIBRATION_MIXTURES = 200  # as many as quantization-aware training observes: 50 batches of 4
ATTEMPTS = 20


@dataclass(frozen=True)
class SetOptions:
    """How evaluation sets are made.

    Attributes:
        sample_rate: Hz. ``mixtures``: of ``test`` (``sweep`` and ``dev`` follow from it). ``calibration``: mixtures of that set.
        task: "separation": two speakers; "enhancement": one, and noise; "music": four stems.
        max_seconds: longer mixtures are cut; None: they last as long as their shortest part.
        snr_db: of enhancement, least and greatest SNR of ``test``, ``dev`` and ``calibration``.
    """

    sample_rate: int
    mixtures: int
    seed: int = 0
    task: str = "separation"
    calibration: int = CALIBRATION_MIXTURES
    max_seconds: float | None = None
    snr_db: tuple[float, float] = (-5.0, 10.0)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise choice_error("task", self.task, list(TASKS))
        if self.mixtures < 1 or self.calibration < 1:
            raise UserError(f"an evaluation set needs at least one mixture, not {min(self.mixtures, self.calibration)}")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise UserError(f"the longest mixture must last longer than {self.max_seconds} s")

    @property
    def max_samples(self) -> int | None:
        """``max_seconds`` in samples."""
        return None if self.max_seconds is None else max(1, round(self.max_seconds * self.sample_rate))


def write_evaluation_sets(speech: Speech, out: Path, options: SetOptions) -> dict[str, int]:
    """Write ``test``, ``sweep``, ``dev`` and ``calibration`` below ``out``, each whole or not at all.

    The sweep holds a third as many pairs as ``test`` has mixtures, each at all three SNRs, ordered by SNR; ``dev`` half as many.
    A folder of an older set is replaced. Published mixtures, where the data set has them, are taken as they are.

    Returns:
        The number of mixtures of each set.

    Raises:
        UserError: too few speakers or utterances, a bad file, or a folder in the way that is no evaluation set.
    """
    makers: dict[str, Callable[[], list[Mixture]]] = {
        "test": lambda: _ready_or_made(speech, "test", options, options.mixtures),
        "sweep": lambda: _sweep(speech, options),
        "dev": lambda: _ready_or_made(speech, "dev", options, math.ceil(options.mixtures / 2)),
        "calibration": lambda: _ready_or_made(speech, "calibration", options, options.calibration),
    }
    return {name: write_set(out / name, speech, options.sample_rate, maker()) for name, maker in makers.items()}


def mixtures_to_judge(speech: Speech, options: SetOptions, people: str) -> list[Mixture]:
    """``options.mixtures`` mixtures made as those of the set ``test``, without writing them.

    Args:
        people: "test": exactly those of ``test``; "unseen": of speakers that are never trained on; "all": of every utterance, for a data
            set that nothing was trained on.

    Raises:
        UserError: as :func:`write_evaluation_sets`; an unknown choice of people.
    """
    if people == "test":
        return _ready_or_made(speech, "test", options, options.mixtures)
    if people not in PEOPLE:
        raise choice_error("choice of people", people, list(PEOPLE))
    splits = list(Split) if people == "all" else [Split.TEST_UNSEEN]
    utterances = [utterance for split in splits for utterance in speech.utterances[split]]
    return list(_mixtures(people, utterances, options.mixtures, options, _random(options, people), [None]))


def _ready_or_made(speech: Speech, name: str, options: SetOptions, count: int) -> list[Mixture]:
    random = _random(options, name)
    if name in speech.published:
        subset = {"test": "unseen", "dev": "dev", "calibration": "train"}[name]
        layout = published_layout(options.task, speech.noisy)
        return published_mixtures(speech.published[name], subset, layout, options.sample_rate, count, options.max_samples, random)
    return [
        mixture
        for label, utterances, share in _parts(speech, name, count)
        for mixture in _mixtures(label, utterances, share, options, random, [None])
    ]


def _sweep(speech: Speech, options: SetOptions) -> list[Mixture]:
    random, pairs = _random(options, "sweep"), math.ceil(options.mixtures / len(SWEEP_DB))
    made = [
        mixture
        for label, utterances, share in _parts(speech, "test", pairs)
        for mixture in _mixtures(label, utterances, share, options, random, SWEEP_DB)
    ]
    return sorted(made, key=lambda mixture: mixture.snr_db or 0.0)  # stable: an even choice from the list takes all SNRs alike


def _random(options: SetOptions, name: str) -> np.random.Generator:
    return np.random.default_rng([options.seed, *name.encode()])


def _parts(speech: Speech, name: str, count: int) -> list[tuple[str, Sequence[Utterance], int]]:
    """(subset, utterances, mixtures) that make up a set. Without two unseen speakers a test is of seen ones, and the reverse."""
    if name != "test":
        split = {"dev": Split.DEV, "calibration": Split.TRAIN}[name]
        return [(str(split), speech.utterances[split], count)]
    halves = [("seen", speech.utterances[Split.TEST_SEEN]), ("unseen", speech.utterances[Split.TEST_UNSEEN])]
    usable = [(label, utterances) for label, utterances in halves if len({speaker for speaker, _ in utterances}) > 1]
    if not usable:
        raise UserError(f"DATA={speech.name} has no two speakers among its test utterances: add speakers or utterances")
    shares = [count] if len(usable) == 1 else [math.ceil(count / 2), count // 2]
    return [(speech.subset or label, utterances, share) for (label, utterances), share in zip(usable, shares, strict=True)]


def _mixtures(
    subset: str, utterances: Sequence[Utterance], count: int, options: SetOptions, random: np.random.Generator, snrs: Sequence[float | None]
) -> Iterator[Mixture]:
    """``count`` pairs, each once for every wanted SNR (None: LibriMix levels, or a random SNR of speech over noise)."""
    pairs, rejected = pairs_of(utterances, random), 0
    while count:
        pair = next(pairs)
        try:
            parts = _at_levels(pair, options, random)
            if options.task == "enhancement":  # the noise is at unit power, above the speech, so that it is the one brought to the SNR
                parts = [parts[0], _background(pair[0][0], utterances, len(parts[0]), options, random)]
        except _SilentError:
            rejected += 1
            if rejected > ATTEMPTS + count:
                raise UserError(f"most utterances begin with silence, {pair[0][1]} among them; trim them") from None
            continue
        count -= 1
        for snr in snrs:
            wanted = random.uniform(*options.snr_db) if snr is None and options.task == "enhancement" else snr
            mixed = peak_limited(*parts) if wanted is None else mix_at_snr(parts[0], parts[1], wanted)
            yield _mixture(subset, pair, mixed, options, snr)


class _SilentError(Exception):
    """What is left of an utterance in a mixture is silence: SI-SDR would be undefined."""


def _at_levels(pair: tuple[Utterance, Utterance], options: SetOptions, random: np.random.Generator) -> list[Waveform]:
    """Both utterances from their beginnings, as long as the shorter ("min") or as asked, at random loudness.

    Unlike in LibriMix it is the loudness of what is mixed, not of the uncut utterance.
    """
    waveforms = [load_utterance(path, options.sample_rate) for _, path in pair]
    samples = min([len(waveform) for waveform in waveforms] + ([options.max_samples] if options.max_samples else []))
    cut = [waveform[:samples] for waveform in waveforms]
    measured = [loudness(waveform, options.sample_rate) for waveform in cut]
    if not all(math.isfinite(level) for level in measured):
        raise _SilentError
    return [at_loudness(waveform, level, random.uniform(*LOUDNESS_LUFS)) for waveform, level in zip(cut, measured, strict=True)]


def _background(speaker: str, utterances: Sequence[Utterance], samples: int, options: SetOptions, random: np.random.Generator) -> Waveform:
    others = [path for other, path in utterances if other != speaker]
    chosen = random.permutation(len(others))[: random.integers(BABBLE_VOICES[0], BABBLE_VOICES[1] + 1)]
    return background([load_utterance(others[k], options.sample_rate) for k in chosen], samples, options.sample_rate, random)


def _mixture(
    subset: str, pair: tuple[Utterance, Utterance], parts: tuple[Waveform, Waveform], options: SetOptions, snr_db: float | None
) -> Mixture:
    loudest = max(float(np.abs(part).max()) for part in parts)  # where two parts cancel, one can be louder than their sum
    gain = min(1.0, 32767 / 32768 / loudest) if loudest else 1.0
    first, second = (np.rint(gain * part.astype(np.float64) * 32768).astype(np.int16) for part in parts)
    if options.task == "enhancement":
        return Mixture(subset, [first], [pair[0][0]], second, snr_db)
    return Mixture(subset, [first, second], [speaker for speaker, _ in pair], None, snr_db)


def pairs_of(utterances: Sequence[Utterance], random: np.random.Generator) -> Iterator[tuple[Utterance, Utterance]]:
    """Endless random pairs of different speakers. All utterances are used about equally often; a pair recurs only when all have been used.

    Raises:
        UserError: fewer than two speakers.
    """
    if len({speaker for speaker, _ in utterances}) < 2:
        raise UserError(f"mixtures need utterances of two speakers; there are {len(utterances)} utterances of fewer")
    used: set[frozenset[int]] = set()
    while True:
        waiting, found = [int(k) for k in random.permutation(len(utterances))], False
        while waiting:
            first = waiting.pop()
            others = (k for k in reversed(waiting) if utterances[k][0] != utterances[first][0])
            partner = next((k for k in others if frozenset((first, k)) not in used), None)
            if partner is not None:
                waiting.remove(partner)
                used.add(frozenset((first, partner)))
                found = True
                yield utterances[first], utterances[partner]
        if not found:
            used.clear()
