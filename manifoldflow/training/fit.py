"""One function that trains a flow: Lightning's trainer with early stopping, checkpoints and resumption."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.callbacks.progress import ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from ..data import ImageSet, dequantise, hashed_uniform
from ..errors import DataError
from ..flows import FlowDescription, ManifoldFlow, build_flow
from .batches import EpochBatches, ResumableLoader, eval_loader
from .flow_module import EVAL_BATCH, FlowModule
from .settings import TrainSettings
from .trainer import interruptible, quiet_lightning

__all__ = ["CHECKPOINTS", "FlowTraining", "train_flow"]

CHECKPOINTS = "checkpoints"
"""The folder of checkpoints inside a training's folder: `best.ckpt` (weights) and `last.ckpt` (to resume from)."""


@dataclass(frozen=True)
class FlowTraining:
    """What a training run gave.

    Args:
        flow: The flow with the best validation loss, in eval mode.
        epochs: Epochs run.
        best_epoch: The epoch whose weights these are, from 0.
        validation_bpd: Its bits per dimension on the validation images.
        seconds: Wall time of the training loop; since resumption, if it was resumed.
        images_per_second: Training images over that time, validation included.
        stopped_by: "epochs", "early stopping" or "time limit".
    """

    flow: ManifoldFlow
    epochs: int
    best_epoch: int
    validation_bpd: float
    seconds: float
    images_per_second: float
    stopped_by: str


def train_flow(
    description: FlowDescription,
    train: ImageSet,
    validation: ImageSet,
    settings: TrainSettings,
    *,
    folder: Path,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    accelerator: str = "auto",
) -> FlowTraining:
    """Train a flow by maximum likelihood, and keep the weights with the best validation loss.

    A run that was killed at any step and is resumed gives, on a CPU, bit for bit the weights of the
    uninterrupted run: batch order and noise are functions of (seed, epoch, example).

    Args:
        description: The architecture and base.
        train: Training images.
        validation: Images for early stopping and the choice of the weights.
        settings: Epochs, batch size, rates, seed, how often to write a checkpoint.
        folder: Folder for the checkpoints and the CSV log.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        accelerator: As Lightning's Trainer takes it.

    Raises:
        DataError: Images of another shape than the description's, or differing levels.
        FloatingPointError: The loss became NaN or infinite; names the step and a remedy.
        KeyboardInterrupt: With the step that was reached.
    """
    for name, data in {"train": train, "validation": validation}.items():
        if data.shape != description.shape:
            raise DataError(f"{name}: expected images of shape {description.shape}, got {data.shape}")
    if train.levels != validation.levels:
        raise DataError(f"validation: expected {train.levels} levels as in the training data, got {validation.levels}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        flow = build_flow(description)
    _initialise(flow, train, settings)
    batches = EpochBatches(len(train), settings.batch_size, settings.seed)
    module = FlowModule(flow, dim=description.dim, levels=train.levels, settings=settings, batches=batches)
    last = folder / CHECKPOINTS / "last.ckpt"
    start = last if resume and last.is_file() else None
    early, best, timer, callbacks = _callbacks(folder, settings)
    if progress:
        callbacks.append(_progress_bar(title))
    with quiet_lightning():
        trainer = L.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            logger=CSVLogger(folder, name="", version=_free_log(folder)),
            gradient_clip_val=settings.clip,
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            accelerator=accelerator,
            use_distributed_sampler=False,
        )
        started = time.perf_counter()
        first_step = torch.load(start, weights_only=True)["global_step"] if start else 0
        with interruptible(trainer, "training"):
            loaders = ResumableLoader(train, batches), eval_loader(validation, EVAL_BATCH)
            trainer.fit(module, *loaders, ckpt_path=start, weights_only=True)
        seconds = time.perf_counter() - started
    content = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(content["state_dict"])
    return FlowTraining(
        flow=flow.eval().cpu(),
        epochs=trainer.current_epoch,
        best_epoch=content["epoch"],
        validation_bpd=float(best.best_model_score),
        seconds=seconds,
        images_per_second=(trainer.global_step - first_step) * batches.batch_size / seconds,
        stopped_by=_stop_reason(early, timer),
    )


def _callbacks(
    folder: Path, settings: TrainSettings
) -> tuple[EarlyStopping, ModelCheckpoint, Timer | None, list[Callback]]:
    early = EarlyStopping("validation_bpd", patience=settings.patience, check_finite=False)
    options = {"dirpath": folder / CHECKPOINTS, "enable_version_counter": False}
    best = ModelCheckpoint(filename="best", monitor="validation_bpd", save_weights_only=True, **options)
    callbacks: list[Callback] = [early, best]
    if settings.checkpoint_every is not None:
        last = ModelCheckpoint(filename="last", every_n_train_steps=settings.checkpoint_every, **options)
        callbacks.append(last)
    timer = None
    if settings.max_seconds is not None:
        timer = Timer(duration=timedelta(seconds=settings.max_seconds), verbose=False)
        callbacks.append(timer)
    return early, best, timer, callbacks


def _free_log(folder: Path) -> str:
    """A log of its own for every resumption, since Lightning empties one that it finds."""
    number = len(list(folder.glob("log*")))
    return f"log-{number + 1}" if number else "log"


def _stop_reason(early: EarlyStopping, timer: Timer | None) -> str:
    if timer is not None and (timer.time_remaining() or 0) <= 0:
        return "time limit"
    return "early stopping" if early.stopped_epoch else "epochs"


def _progress_bar(title: str) -> ProgressBar:
    class Titled(RichProgressBar):
        def _get_train_description(self, current_epoch: int) -> str:
            return f"{title} {super()._get_train_description(current_epoch)}".strip()

    return Titled(leave=False)


def _initialise(flow: ManifoldFlow, train: ImageSet, settings: TrainSettings) -> None:
    """Data-dependent actnorm from one fixed batch, before anything wraps the model."""
    initialise: Callable[[Tensor], None] | None = getattr(flow.transform, "initialise", None)
    if initialise is None:
        return
    index = torch.arange(min(len(train), max(settings.batch_size, 256)))
    noise = hashed_uniform(index, train.images[0].numel(), seed=settings.seed, epoch=0)
    images = train.images[index]
    initialise(dequantise(images, train.levels, noise.view(images.shape)))
