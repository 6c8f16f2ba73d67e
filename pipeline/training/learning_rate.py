"""The learning rate over a training: halved when the validation loss stops falling, and at the end brought linearly to zero.

Both are schedulers that lightning steps and keeps in its checkpoints.
"""

from __future__ import annotations

from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import MultiplicativeLR, ReduceLROnPlateau

from export_specs.schema import TrainingSpec

FACTOR = 0.5


def plateau(optimizer: Optimizer, training: TrainingSpec) -> LRSchedulerConfigType:
    """Halves the rate after ``plateau_patience`` validations without a lower loss.

    Lightning steps a scheduler of epochs after it has written the epoch's checkpoint, and one of steps before that. So that the
    step is not lost in a kill, this one is of steps, one epoch of them apart. A run that goes on comes by the end of the epoch
    before once more, now without a loss, hence ``strict``.
    """
    scheduler = ReduceLROnPlateau(optimizer, factor=FACTOR, patience=training.plateau_patience)
    return {"scheduler": scheduler, "interval": "step", "frequency": training.epoch_steps, "monitor": "val_loss", "strict": False}


def cooldown(optimizer: Optimizer, training: TrainingSpec) -> LRSchedulerConfigType:
    """Brings the rate linearly to zero in the last ``cooldown_steps``, from what it is by then."""

    def factor(step: int) -> float:
        """Of the rate at ``step`` to that at the step before."""
        left = training.steps - step
        return max(0, left) / max(1, left + 1) if step > cooldown_start(training) else 1.0

    return {"scheduler": MultiplicativeLR(optimizer, factor), "interval": "step"}


def cooldown_start(training: TrainingSpec) -> int:
    """The last step with the whole rate."""
    return training.steps - training.cooldown_steps
