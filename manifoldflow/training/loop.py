"""The loop of every training here: Lightning's module and trainer with logs, averages, checkpoints and resumption."""

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer, WeightAveraging
from lightning.pytorch.callbacks.progress import ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_avg_fn

from ..errors import DataError
from .batches import ImageData
from .checkpoint import BEST, CHECKPOINTS, LAST, WholeCheckpoints, read_checkpoint
from .placement import Placement, all_or_none, interruptible, new_trainer, quiet_lightning
from .settings import TrainSettings

__all__ = ["Outcome", "TrainingModule", "run_training"]

_REMEDY = "try a smaller learning_rate or a longer warmup"


class TrainingModule(L.LightningModule):
    """Base of the modules.

    Args:
        settings: Rates, precision and seed.
        steps: Of the whole run, for the schedule.
    """

    def __init__(self, settings: TrainSettings, steps: int) -> None:
        super().__init__()
        self.settings, self.steps = settings, steps

    def check_finite(self, loss: Tensor, what: str, step: int) -> None:
        """Stop all processes in the same step if the loss of one is not finite.

        Raises:
            FloatingPointError: Names the loss, the step and a remedy.
        """
        value = loss.detach()
        if self.trainer.world_size > 1:
            value = self.all_gather(value).mean()
        if not torch.isfinite(value):
            raise FloatingPointError(f"{what} became {float(value)} at step {step}; {_REMEDY}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the former checkpoint where a finite loss had a gradient that was not.

        Raises:
            FloatingPointError: Names the weights, the step and a remedy.
        """
        step = self.global_step // len(self.trainer.optimizers)  # each optimiser counts
        for name, weights in checkpoint["state_dict"].items():
            if not torch.isfinite(weights).all():
                raise FloatingPointError(f"{name} became NaN or infinite in step {step}; {_REMEDY}")

    def adam(self, parameters: Iterable[nn.Parameter], decay: float = 0.0, **options: Any) -> dict[str, Any]:
        """Adam, or AdamW where weights decay, and its schedule, as `configure_optimizers` returns them."""
        fused = not self.settings.precision.endswith("-mixed")  # with which Lightning does not clip gradients
        kind = torch.optim.AdamW if decay else torch.optim.Adam
        options |= {"lr": self.settings.learning_rate, "fused": fused, "weight_decay": decay}
        optimizer = kind(parameters, **options)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))

    @contextmanager
    def seeded(self, step: int) -> Iterator[None]:
        """Let torch's draws inside be a function of (seed, step, process): checkpoints hold no generator state."""
        key = repr((self.settings.seed, step, self.global_rank)).encode()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int.from_bytes(hashlib.blake2b(key, digest_size=7).digest()))
            yield


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    Args:
        epochs: Epochs run.
        best_epoch: The epoch whose weights the module has now, from 0.
        best: The monitored loss there; NaN if none is monitored.
        seconds: Wall time of the loop; since resumption, if it was resumed.
        images_per_second: Training images over that time, validation included.
        stopped_by: "epochs", "early stopping" or "time limit".
        device: Where this process trained.
        steps: Optimiser steps of the whole run, those before a resumption included.
    """

    epochs: int
    best_epoch: int
    best: float
    seconds: float
    images_per_second: float
    stopped_by: str
    device: torch.device
    steps: int


def run_training(
    module: TrainingModule,
    data: ImageData,
    *,
    folder: Path,
    monitor: str | None,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    placement: Placement | None = None,
    strategy: str = "ddp",
) -> Outcome:
    """Train a module in place and leave it on the CPU, with the weights of its best epoch if a loss is monitored.

    Args:
        module: With its settings.
        data: Its images.
        folder: Of checkpoints and log.
        monitor: Name of the validation loss for early stopping and the choice of the weights; None for the last ones.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        placement: Devices and machines; one device if None.
        strategy: What "auto" means for several processes.

    Raises:
        DataError: Devices or a strategy that Lightning does not have here.
        FloatingPointError: A loss became NaN or infinite; names the step and a remedy.
        KeyboardInterrupt: With the step that was reached.
        OSError: A file could not be written, or another process ended; the last checkpoint is intact.
    """
    settings, placement = module.settings, placement or Placement()
    last = folder / CHECKPOINTS / f"{LAST}.ckpt"
    start = last if resume and last.is_file() else None
    early, best, timer, callbacks = _callbacks(folder, settings, monitor, 1 if module.automatic_optimization else 2)
    callbacks += [_progress_bar(title)] if progress else []
    if settings.precision == "64-true":
        module.double()  # Lightning would do so only after the averaged weights were set up in float32
    with quiet_lightning():
        options = {"logger": _logger(folder, settings), "strategy": _strategy(placement, strategy)}
        trainer = _trainer(module, placement, callbacks, enable_progress_bar=progress, **options)
        started = time.perf_counter()
        first_step = _first_step(start, folder) if start else 0
        # Data loaders draw from torch's global generator, to no effect here: the caller's is left alone.
        with interruptible(trainer, "training"), all_or_none(trainer), torch.random.fork_rng(devices=[]):
            trainer.fit(module, datamodule=data, ckpt_path=start, weights_only=True)
        seconds = time.perf_counter() - started
    best_epoch, value = _restore_best(trainer, module, best)
    module.cpu()
    made = (trainer.global_step - first_step) / len(trainer.optimizers)
    return Outcome(
        epochs=trainer.current_epoch,
        best_epoch=best_epoch,
        best=value,
        seconds=seconds,
        images_per_second=made * data.batch_size / seconds,
        stopped_by=_stop_reason(early, timer),
        device=trainer.strategy.root_device,
        steps=trainer.global_step // len(trainer.optimizers),
    )


def _strategy(placement: Placement, auto: str) -> str:
    """The placement's, with `auto` for "auto" where there are several processes."""
    several = placement.devices * placement.num_nodes > 1
    return auto if several and placement.strategy == "auto" else placement.strategy


def _trainer(module: TrainingModule, placement: Placement, callbacks: list[Any], **options: Any) -> Any:
    """Lightning's trainer with what every training here has."""
    settings = module.settings
    return new_trainer(
        placement,
        max_epochs=settings.epochs,
        callbacks=callbacks,
        gradient_clip_val=settings.clip if module.automatic_optimization else None,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        precision=settings.precision,
        plugins=[WholeCheckpoints()],
        use_distributed_sampler=False,
        **options,
    )


def _restore_best(trainer: Any, module: TrainingModule, best: ModelCheckpoint | None) -> tuple[int, float]:
    """The best epoch and its loss, with the module's weights of then; the last epoch where no loss is monitored."""
    if best is None:
        return trainer.current_epoch - 1, float("nan")
    first = trainer.is_global_zero
    content = trainer.strategy.broadcast(read_checkpoint(Path(best.best_model_path)) if first else None)
    module.load_state_dict(content["state_dict"])
    assert best.best_model_score is not None
    return content["epoch"], float(best.best_model_score)


def _first_step(start: Path, folder: Path) -> int:
    """The step that a checkpoint was written at.

    Raises:
        DataError: It is damaged, or the best one is, which is read at the end; says what to remove.
    """
    try:
        if (best := start.with_stem(BEST)).is_file():
            read_checkpoint(best)
        return int(read_checkpoint(start)["global_step"])
    except (DataError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"--resume: {error}; remove {folder} and start again without --resume") from error


def _callbacks(
    folder: Path, settings: TrainSettings, monitor: str | None, counts: int
) -> tuple[EarlyStopping | None, ModelCheckpoint | None, Timer | None, list[Callback]]:
    early = best = timer = None
    callbacks: list[Callback] = []
    options = {"dirpath": folder / CHECKPOINTS, "enable_version_counter": False}
    if settings.average is not None:
        callbacks.append(WeightAveraging(avg_fn=get_ema_avg_fn(settings.average)))
    if monitor is not None:
        early = EarlyStopping(monitor, patience=settings.patience, check_finite=False)
        # The averaged weights, which were validated, are put into whole checkpoints only.
        best = ModelCheckpoint(filename=BEST, monitor=monitor, save_weights_only=settings.average is None, **options)
        callbacks += [early, best]
    if settings.checkpoint_every is not None:
        # Lightning counts the steps of every optimiser.
        callbacks.append(
            ModelCheckpoint(filename=LAST, every_n_train_steps=counts * settings.checkpoint_every, **options)
        )
    if settings.max_seconds is not None:
        timer = Timer(duration=timedelta(seconds=settings.max_seconds), verbose=False)
        callbacks.append(timer)
    return early, best, timer, callbacks


def _require_tensorboard() -> None:
    if find_spec("tensorboard") is None:
        raise ImportError(
            'log: tensorboard is not installed; install it with: pip install "manifoldflow[tensorboard]", or log to csv'
        )


def _logger(folder: Path, settings: TrainSettings) -> Logger:
    if settings.log == "tensorboard":
        _require_tensorboard()
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version=_free_log(folder))
    return CSVLogger(folder, name="", version=_free_log(folder))


def _free_log(folder: Path) -> str:
    """A log of its own for every resumption, since Lightning empties one that it finds."""
    number = len(list(folder.glob("log*")))
    return f"log-{number + 1}" if number else "log"


def _stop_reason(early: EarlyStopping | None, timer: Timer | None) -> str:
    if timer is not None and (timer.time_remaining() or 0) <= 0:
        return "time limit"
    return "early stopping" if early is not None and early.stopped_epoch else "epochs"


def _progress_bar(title: str) -> ProgressBar:
    class Titled(RichProgressBar):
        """Fits 80 columns: a short bar, no speed, and of the figures the last validation loss."""

        def configure_columns(self, trainer: L.Trainer) -> list[Any]:
            columns = super().configure_columns(trainer)[:-1]
            for column in columns:
                if hasattr(column, "bar_width"):
                    column.bar_width = 12
            return columns

        def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
            metrics = super().get_metrics(trainer, pl_module)
            return {key.removeprefix("validation_"): v for key, v in metrics.items() if key.startswith("validation_")}

        def _get_train_description(self, current_epoch: int) -> str:
            return f"{title} {super()._get_train_description(current_epoch)}".strip()

    return Titled(leave=False)
