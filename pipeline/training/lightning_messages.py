"""Messages of lightning that say nothing to a user of our commands. Everything else it says is shown."""

from __future__ import annotations

import logging
import warnings

from lightning_utilities.core import rank_zero

TIPS = ("try installing [litlogger]",)  # an advertisement
WARNINGS = (
    ".*does not have many workers",  # chosen: examples depend on their number alone
    "Checkpoint directory .* exists and is not empty",  # so it is meant: a run goes on in it
    "ReduceLROnPlateau conditioned on metric val_loss which is not available",  # at the start of a run that goes on
    r".*could not find the monitored key",  # likewise
    r".*isinstance\(treespec, LeafSpec\)` is deprecated",  # between lightning and torch
)


def silence_tips() -> None:
    """Drop these messages from now on."""
    rank_zero.log.addFilter(_is_no_tip)
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message)


def _is_no_tip(record: logging.LogRecord) -> bool:
    return not any(tip in record.getMessage() for tip in TIPS)
