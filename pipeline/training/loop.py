"""The training loop: lightning's Trainer, with exact resume and a curve on disk."""

from __future__ import annotations

import csv
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, DistributedSampler

from export_specs.foundation.atomic import write_bytes, write_text
from export_specs.foundation.errors import Interruption, UserError
from export_specs.foundation.progress import at_work
from export_specs.schema import TrainingSpec
from pipeline.allocator import keep_freed_memory
from pipeline.data.examples import Examples
from pipeline.losses.objective import SPEECH, Objective
from pipeline.training.learning_rate import cooldown, cooldown_start, plateau
from pipeline.training.lightning_messages import silence_tips


class Mixtures(lightning.LightningDataModule):
    """Training examples that depend on (seed, epoch, index) alone, and a fixed validation set."""

    def __init__(self, train: Examples, validation: Examples, batch_size: int, workers: int) -> None:
        super().__init__()
        self.train, self.validation, self.batch_size, self.workers = train, validation, batch_size, workers

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Rebuilt each epoch, so that a resumed run sees exactly the examples it would have seen."""
        assert self.trainer is not None
        self.train.epoch = self.trainer.current_epoch
        return self._loader(self.train, num_workers=self.workers, worker_init_fn=obey_the_trainer_alone)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The same validation mixtures every time."""
        return self._loader(self.validation)

    def _loader(self, examples: Examples, **options: Any) -> DataLoader[tuple[Tensor, Tensor]]:
        """In order, every process its share. Lightning's own sampler shuffles, and otherwise after an interruption than without one."""
        assert self.trainer is not None
        share: DistributedSampler[Any] = DistributedSampler(examples, self.trainer.world_size, self.trainer.global_rank, shuffle=False)
        return DataLoader(examples, self.batch_size, sampler=share, **options)


def obey_the_trainer_alone(_: int) -> None:
    """A process that mixes examples ends without a word when the trainer ends it, or is gone.

    A signal to the whole group, as Ctrl-C is one, reaches it too. If it died of that, or left with another exit code than 0, the
    trainer would tell of a failure. The thread that hands out tensors would tell of a trainer that left in the midst of taking one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sys.excepthook = lambda *_: None  # only threads come here: errors of an example are sent to the trainer


class SeparationTask(lightning.LightningModule):
    """Trains a network on its task's loss with Adam, gradient clipping and halving on plateau (the paper's recipe).

    In the last ``cooldown_steps`` the learning rate falls linearly to zero.
    """

    def __init__(self, network: nn.Module, training: TrainingSpec, compiled: bool, objective: Objective = SPEECH) -> None:
        super().__init__()
        self.network, self.training_spec, self.objective = network, training, objective
        self.run_network = torch.compile(network) if compiled else network

    def loss(self, mixture: Tensor, sources: Tensor) -> Tensor:
        """Loss of each example [B]."""
        return self.objective.loss(self.run_network(mixture).float(), sources)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """One step on (mixture [B, T], sources [B, S, T]), or of A audio channels (mixture [B, A, T], sources [B, S, A, T])."""
        loss = self.loss(*batch).mean()
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Logs the loss and the task's figure of merit."""
        mixture, sources = batch
        estimate = self.network(mixture).float()
        self.log("val_loss", self.objective.loss(estimate, sources).mean(), sync_dist=True)
        figure = self.objective.figure(estimate, mixture, sources).mean()
        self.log(self.objective.figure_name, figure, prog_bar=True, sync_dist=True)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """By norm. Lightning's own clipping refuses the fused Adam in mixed precision, because of a scaler that bf16 has not."""
        if self.training_spec.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.training_spec.gradient_clip)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is trained, for the optimizer: all at the one learning rate."""
        return [{"params": [parameter for parameter in self.network.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[LRSchedulerConfigType]]:  # type: ignore[override]
        """Adam, and the two schedulers of its rate."""
        optimizer = torch.optim.Adam(self.parameter_groups(), self.training_spec.learning_rate, fused=True)
        return [optimizer], [plateau(optimizer, self.training_spec), cooldown(optimizer, self.training_spec)]

    def lr_scheduler_step(self, scheduler: LRScheduler, metric: Any | None) -> None:
        """The plateau halves nothing once the cooldown has begun."""
        if metric is None or self.global_step <= cooldown_start(self.training_spec):
            super().lr_scheduler_step(scheduler, metric)


class Curve(Callback):
    """``curve.csv``: a line an epoch with step, learning rate and every logged figure.

    The lines are part of the checkpoint, so that a run that goes on from one has each epoch once (docs/adr/0026-lightning.md).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, str]] = []
        self.train_loss: dict[str, float] = {}

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Adds the figures of the validation that just ended, and the last known training loss."""
        assert isinstance(pl_module, SeparationTask)
        names = ("train_loss", "val_loss", pl_module.objective.figure_name)
        known: dict[str, Any] = {**self.train_loss, **trainer.callback_metrics}
        figures = {name: f"{float(value):.4f}" for name, value in known.items() if name in names}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.lines.append({"step": str(trainer.global_step), "learning_rate": f"{rate:.3g}", **dict.fromkeys(names, ""), **figures})
        if trainer.is_global_zero:
            content = io.StringIO()
            writer = csv.DictWriter(content, self.lines[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.lines)
            write_text(self.path, content.getvalue())

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The training loss is known after the validation, so the next line tells it."""
        self.train_loss |= {name: float(value) for name, value in trainer.callback_metrics.items() if name == "train_loss"}

    def state_dict(self) -> dict[str, Any]:
        """What lightning keeps of it in a checkpoint."""
        return {"lines": self.lines, "train_loss": self.train_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.lines, self.train_loss = state_dict["lines"], state_dict.get("train_loss", {})


class Told(Callback):
    """A sign of the training's steps, as of all long work; lightning's own bars say nothing in a log."""

    def __init__(self) -> None:
        self._working = ExitStack()
        self._tell: Callable[[int], None] | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A training that goes on begins with the steps that it has behind it."""
        if trainer.is_global_zero:
            self._tell = self._working.enter_context(at_work("training, step", trainer.max_steps))
            self._tell(trainer.global_step)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """One step more."""
        if self._tell is not None:
            self._tell(trainer.global_step)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The end."""
        self._working.close()

    def on_exception(self, *_: Any) -> None:
        """As well."""
        self._working.close()


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints written beside their place and renamed. Lightning's own come from the folder for temporary files, which may be on
    another disk: a kill while they are copied would leave half a ``last.ckpt``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())


def fit(task: SeparationTask, data: Mixtures, folder: Path) -> int:
    """Train until ``training.steps``, going on from ``folder/last.ckpt`` if there is one.

    The network ends with the weights of the epoch with the lowest validation loss; averages of weights where the spec takes them. Its
    loss curve lies in ``folder/curve.csv``.

    Returns:
        The step that those weights are of.

    Raises:
        UserError: a file of the examples is bad; this machine has not the hardware that the spec asks for.
    """
    silence_tips()
    keep_freed_memory()
    training = task.training_spec
    best = ModelCheckpoint(folder, filename="best", monitor="val_loss", enable_version_counter=False, save_on_train_epoch_end=True)
    latest = ModelCheckpoint(folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)  # of every epoch
    averaging = [EMAWeightAveraging(decay=training.average_decay)] if training.average_decay else []
    try:
        trainer = lightning.Trainer(
            accelerator=training.accelerator,
            devices=training.devices,
            num_nodes=training.num_nodes,
            strategy="ddp_find_unused_parameters_true" if training.processes > 1 else "auto",  # nothing reads the last block's residual
            precision=training.precision,
            max_steps=training.steps,
            limit_train_batches=training.epoch_steps,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            callbacks=[best, latest, Curve(folder / "curve.csv"), Told(), *averaging],
            logger=False,
            plugins=[AtomicCheckpoints()],
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError) as error:  # no such accelerator, or fewer devices
        asked = f"accelerator {training.accelerator}, devices {training.devices}, num_nodes {training.num_nodes}"
        raise UserError(f"this machine cannot train with {asked}: {error}") from error
    last = folder / "last.ckpt"
    try:
        trainer.fit(task, data, ckpt_path=str(last) if last.exists() else None)
    except UserError as error:  # of a process that mixes examples: torch puts its traceback before it
        raise UserError(str(error).rpartition("UserError: ")[2].strip()) from None
    except SIGTERMException:  # where a finalizer has dropped ours; a SystemExit without a code would pass for the end
        raise Interruption from None
    return take_best(task, folder)


def take_best(task: SeparationTask, folder: Path) -> int:
    """Load the best checkpoint's weights into the task, or the last one's: where that is as good, or was not validated.

    A training that had already ended has loaded the weights it would go on from, and not their average; so either is read.

    Returns:
        The step of the checkpoint.
    """
    found = [folder / f"{name}.ckpt" for name in ("last", "best") if (folder / f"{name}.ckpt").exists()]
    if not found:  # on a node of several, which has no part in the files of the first
        return task.global_step
    last, *better = (torch.load(path, weights_only=True, map_location="cpu") for path in found)
    lines = last["callbacks"][Curve.__qualname__]["lines"]
    validated = bool(lines) and lines[-1]["step"] == str(last["global_step"])
    chosen = better[0] if better and validated and better[0]["global_step"] < last["global_step"] else last
    task.load_state_dict(chosen["state_dict"])
    return int(chosen["global_step"])
