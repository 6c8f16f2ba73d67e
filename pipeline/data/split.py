"""A deterministic, disjoint split of a corpus laid out as ``<speaker>/<utterance>.flac``.

The split is decided by the names alone, so that a selection of a corpus is split exactly as the whole.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

UNSEEN_SPEAKERS = 0.13
TEST_UTTERANCES = 0.12
DEV_UTTERANCES = 0.05


class Split(StrEnum):
    """Where an utterance may be used. Speakers of ``TEST_UNSEEN`` appear nowhere else."""

    TRAIN = "train"
    DEV = "dev"
    TEST_SEEN = "test-seen"
    TEST_UNSEEN = "test-unseen"


def split_of(speaker: str, utterance: str) -> Split:
    """The split of one utterance, from its speaker's and its own name (file name without suffix)."""
    if _share(f"speaker:{speaker}") < UNSEEN_SPEAKERS:
        return Split.TEST_UNSEEN
    share = _share(f"utterance:{speaker}/{utterance}")
    if share < TEST_UTTERANCES:
        return Split.TEST_SEEN
    return Split.DEV if share < TEST_UTTERANCES + DEV_UTTERANCES else Split.TRAIN


def _share(name: str) -> float:
    """A number in [0, 1), uniform over names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
