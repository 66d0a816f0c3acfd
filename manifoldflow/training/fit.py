"""Training a flow of images: a Lightning module, and one function that runs it."""

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.callbacks.progress import ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from ..data import ImageSet, bits_per_dim, dequantise, hashed_uniform
from ..errors import DataError
from ..flows import FlowDescription, ManifoldFlow, build_flow
from .batches import eval_loader, train_loader
from .settings import TrainSettings

__all__ = ["FlowModule", "FlowTraining", "quiet_lightning", "held_out_bits_per_dim", "train_flow"]

_VALIDATION_EPOCH = 2**31 - 1
"""The noise of validation and test is that of no training epoch, and always the same."""
_EVAL_BATCH = 500


@dataclass(frozen=True)
class FlowTraining:
    """What a training run gave.

    Args:
        flow: The flow with the best validation loss, in eval mode.
        epochs: Epochs run.
        best_epoch: The epoch whose weights these are, from 0.
        validation_bpd: Its bits per dimension on the validation images.
        seconds: Wall time of the training loop.
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


class FlowModule(L.LightningModule):
    """Maximum likelihood with uniform dequantisation; the loss is in bits per dimension."""

    def __init__(self, flow: ManifoldFlow, dim: int, levels: int, settings: TrainSettings, steps: int) -> None:
        super().__init__()
        self.flow, self.dim, self.levels, self.settings, self.steps = flow, dim, levels, settings, steps

    def _loss(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        index, images = batch
        noise = hashed_uniform(index, self.dim, seed=self.settings.seed, epoch=epoch)
        x = dequantise(images, self.levels, noise.view(images.shape))
        return bits_per_dim(self.flow(x), self.dim, self.levels).mean()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch, self.current_epoch)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {float(loss.detach())} at step {self.global_step}; "
                "try a smaller learning_rate or a longer warmup"
            )
        self.log("train_bpd", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = self._loss(batch, _VALIDATION_EPOCH)
        self.log("validation_bpd", loss, prog_bar=True, batch_size=len(batch[0]))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's hints on hardware and workers silenced, for data that is in memory anyway."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for message in (".*does not have many workers.*", ".*smaller than the logging interval.*"):
                warnings.filterwarnings("ignore", message)
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="(lightning|torch).*")
            warnings.filterwarnings("ignore", category=FutureWarning, module="(lightning|torch).*")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _stop_reason(trainer: L.Trainer, early: EarlyStopping, timer: Timer | None) -> str:
    if timer is not None and (timer.time_remaining() or 0) <= 0:
        return "time limit"
    return "early stopping" if early.stopped_epoch else "epochs"


def train_flow(
    description: FlowDescription,
    train: ImageSet,
    validation: ImageSet,
    settings: TrainSettings,
    *,
    folder: Path,
    progress: bool = True,
    title: str = "",
    accelerator: str = "auto",
) -> FlowTraining:
    """Train a flow by maximum likelihood, and keep the weights with the best validation loss.

    Args:
        description: The architecture and base.
        train: Training images.
        validation: Images for early stopping and the choice of the weights.
        settings: Epochs, batch size, rates, seed.
        folder: Existing folder for the checkpoint and the CSV log.
        progress: Show Lightning's progress bar, headed by `title`.
        accelerator: As Lightning's Trainer takes it.

    Raises:
        DataError: Images of another shape than the description's, or differing levels.
        FloatingPointError: The loss became NaN or infinite; names the step and a remedy.
    """
    for name, data in {"train": train, "validation": validation}.items():
        if data.shape != description.shape:
            raise DataError(f"{name}: expected images of shape {description.shape}, got {data.shape}")
    if train.levels != validation.levels:
        raise DataError(f"validation: expected {train.levels} levels as in the training data, got {validation.levels}")
    torch.manual_seed(settings.seed)
    flow = build_flow(description)
    loader, batches = train_loader(train, settings.batch_size, settings.seed)
    _initialise(flow, train, settings)
    module = FlowModule(flow, description.dim, train.levels, settings, settings.epochs * len(loader))
    early = EarlyStopping("validation_bpd", patience=settings.patience, check_finite=False)
    best = ModelCheckpoint(
        folder / "checkpoints", "best", monitor="validation_bpd", save_weights_only=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [early, best]
    timer = None
    if settings.max_seconds is not None:
        timer = Timer(duration=timedelta(seconds=settings.max_seconds), verbose=False)
        callbacks.append(timer)
    if progress:
        callbacks.append(_progress_bar(title))
    with quiet_lightning():
        trainer = L.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            logger=CSVLogger(folder, name="", version="log"),
            gradient_clip_val=settings.clip,
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            accelerator=accelerator,
            use_distributed_sampler=False,
        )
        started = time.perf_counter()
        trainer.fit(module, loader, eval_loader(validation, _EVAL_BATCH))
        seconds = time.perf_counter() - started
    content = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(content["state_dict"])
    images = trainer.global_step * batches.batch_size
    return FlowTraining(
        flow=flow.eval().cpu(),
        epochs=trainer.current_epoch,
        best_epoch=content["epoch"],
        validation_bpd=float(best.best_model_score),
        seconds=seconds,
        images_per_second=images / seconds,
        stopped_by=_stop_reason(trainer, early, timer),
    )


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


@torch.no_grad()
def held_out_bits_per_dim(flow: ManifoldFlow, data: ImageSet, *, seed: int, draws: int = 1) -> Tensor:
    """Bits per dimension of each image, shape (N,), averaged over `draws` of the dequantisation noise."""
    total = torch.zeros(len(data))
    dim = data.images[0].numel()
    for draw in range(draws):
        for index, images in eval_loader(data, _EVAL_BATCH):
            noise = hashed_uniform(index, dim, seed=seed, epoch=_VALIDATION_EPOCH - 1 - draw)
            x = dequantise(images, data.levels, noise.view(images.shape))
            total[index] += bits_per_dim(flow.log_prob(x), dim, data.levels)
    return total / draws
