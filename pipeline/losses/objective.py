"""What a task trains on and how its training is watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from export_specs.method import Method
from export_specs.schema import Task
from pipeline.losses.music import l1, music_distilled, pooled_sdr
from pipeline.losses.sakd import distilled
from pipeline.losses.si_sdr import negative_si_sdr, si_sdr


@dataclass(frozen=True)
class Objective:
    """Losses and a figure of merit, each of every example [B].

    Attributes:
        loss: of (estimate, sources). ``distilled``: of (student, teacher, sources, method), SAKD.
        figure: dB of (estimate, mixture, sources), which the curve shows as ``figure_name``.
        open_level: the loss leaves the outputs' level open.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    distilled: Callable[[Tensor, Tensor, Tensor, Method], Tensor]
    figure: Callable[[Tensor, Tensor, Tensor], Tensor]
    figure_name: str
    open_level: bool


def si_sdr_improvement(estimate: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """Mean SI-SDR of the estimates [B, S, T] in their best order over that of the mixture [B, T]: [B]."""
    before = si_sdr(mixture[:, None].expand_as(sources), sources).mean(-1)
    return -negative_si_sdr(estimate, sources) - before


SPEECH = Objective(negative_si_sdr, distilled, si_sdr_improvement, "val_si_sdri", open_level=True)
MUSIC = Objective(l1, music_distilled, lambda estimate, _, sources: pooled_sdr(estimate, sources), "val_sdr", open_level=False)


def objective_of(task: Task) -> Objective:
    """The objective of a task."""
    return MUSIC if task == "music" else SPEECH
