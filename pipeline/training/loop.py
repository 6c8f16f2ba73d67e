"""The training loop: lightning's Trainer with exact resume, a curve on disk and a cooldown of the learning rate."""

from __future__ import annotations

import csv
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader

from export_specs.foundation.atomic import write_bytes
from export_specs.foundation.errors import TERMINATED, UserError
from export_specs.schema import TrainingSpec
from pipeline.data.examples import Examples
from pipeline.losses.objective import SPEECH, Objective
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
        return DataLoader(self.train, self.batch_size, shuffle=False, num_workers=self.workers, worker_init_fn=obey_the_trainer_alone)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The same validation mixtures every time."""
        return DataLoader(self.validation, self.batch_size, shuffle=False)


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
        self.rates_before_cooldown: list[float] = []  # of each group of parameters
        self.resumed_plateau: dict[str, Any] | None = None

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

    def on_train_batch_start(self, *_: Any) -> None:
        """The cooldown."""
        spec = self.training_spec
        done, groups = self.global_step - (spec.steps - spec.cooldown_steps), self.trainer.optimizers[0].param_groups
        if done <= 0:
            self.rates_before_cooldown = [group["lr"] for group in groups]
        elif spec.cooldown_steps:
            for group, rate in zip(groups, self.rates_before_cooldown, strict=True):
                group["lr"] = rate * max(0.0, 1 - done / spec.cooldown_steps)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """By norm. Lightning's own clipping refuses the fused Adam in mixed precision, because of a scaler that bf16 has not."""
        if self.training_spec.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.training_spec.gradient_clip)

    def on_validation_epoch_end(self) -> None:
        """Halves the rate when the validation loss has stopped falling; before the checkpoint is saved, so that it counts after a kill."""
        self.plateau.step(float(self.trainer.callback_metrics["val_loss"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what the learning rate depends on."""
        checkpoint["rates_before_cooldown"] = self.rates_before_cooldown
        checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores it."""
        self.rates_before_cooldown = checkpoint["rates_before_cooldown"]
        self.resumed_plateau = checkpoint.get("plateau")

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is trained, for the optimizer: all at the one learning rate."""
        return [{"params": [parameter for parameter in self.network.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, halved when the validation loss stops falling."""
        optimizer = torch.optim.Adam(self.parameter_groups(), self.training_spec.learning_rate, fused=True)
        # stepped here and not by the Trainer, which steps it after the checkpoint and would lose that step
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=self.training_spec.plateau_patience)
        if self.resumed_plateau is not None:
            self.plateau.load_state_dict(self.resumed_plateau)
        return optimizer


class Curve(Callback):
    """Appends one line an epoch to ``curve.csv``: step, learning rate and every logged figure."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the figures of the validation that just ended, and the last known training loss."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, SeparationTask)
        names = ("train_loss", "val_loss", pl_module.objective.figure_name)
        figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name in names}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if new:
                writer.writerow(("step", "learning_rate", *names))
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            writer.writerow((trainer.global_step, f"{rate:.3g}", *(f"{figures[name]:.4f}" if name in figures else "" for name in names)))


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints written beside their place and renamed. Lightning's own come from the folder for temporary files, which may be on
    another disk: a kill while they are copied would leave half a ``last.ckpt``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())


def fit(task: SeparationTask, data: Mixtures, folder: Path, epoch_steps: int, precision: str, devices: int) -> Path:
    """Train until ``training.steps``, going on from ``folder/last.ckpt`` if there is one.

    Returns:
        The path of the last checkpoint. Its loss curve lies beside it in ``curve.csv``.

    Raises:
        UserError: a file of the examples is bad. KeyboardInterrupt: Ctrl-C. SystemExit: SIGTERM.
    """
    silence_tips()
    best = ModelCheckpoint(folder, filename="best", monitor="val_loss", enable_version_counter=False)
    latest = ModelCheckpoint(folder, filename="last", enable_version_counter=False)  # of every epoch, the best or not
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",  # nothing reads the last block's residual
        precision=precision,  # type: ignore[arg-type]
        max_steps=task.training_spec.steps,
        limit_train_batches=epoch_steps,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[best, latest, Curve(folder / "curve.csv"), RichProgressBar(leave=False)],
        logger=False,
        plugins=[AtomicCheckpoints()],
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    try:
        trainer.fit(task, data, ckpt_path=str(last) if last.exists() else None)
    except UserError as error:  # of a process that mixes examples: torch puts its traceback before it
        raise UserError(str(error).rpartition("UserError: ")[2].strip()) from None
    except (SystemExit, Exception) as error:
        raise_interruption(error)
        raise
    return last


def raise_interruption(error: BaseException) -> None:
    """Raise the interruption that ``error`` comes of, if it comes of one.

    Lightning makes exit code 1 of Ctrl-C and 0 of SIGTERM; and where either comes between its steps, its clean-up fails on what is not
    there yet and hides them.

    Raises:
        KeyboardInterrupt: Ctrl-C. SystemExit: SIGTERM.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if isinstance(cause, SIGTERMException) or (isinstance(cause, SystemExit) and cause.code == TERMINATED):
            raise SystemExit(TERMINATED) from None
        cause = cause.__context__
