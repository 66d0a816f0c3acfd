"""The loop of every training here: Lightning's trainer with logs, averages, early stopping, checkpoints, resumption."""

import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer, WeightAveraging
from lightning.pytorch.callbacks.progress import ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger
from torch.optim.swa_utils import get_ema_avg_fn

from .batches import ImageData
from .checkpoint import BEST, CHECKPOINTS, LAST, WholeCheckpoints, read_checkpoint
from .module import TrainingModule
from .placement import Placement, all_or_none
from .settings import TrainSettings
from .trainer import interruptible, new_trainer, quiet_lightning

__all__ = ["Outcome", "run_training"]


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
    """

    epochs: int
    best_epoch: int
    best: float
    seconds: float
    images_per_second: float
    stopped_by: str
    device: torch.device


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
    if settings.log == "tensorboard":
        _require_tensorboard()
    last = folder / CHECKPOINTS / f"{LAST}.ckpt"
    start = last if resume and last.is_file() else None
    early, best, timer, callbacks = _callbacks(folder, settings, monitor, 1 if module.automatic_optimization else 2)
    if progress:
        callbacks.append(_progress_bar(title))
    several = placement.devices * placement.num_nodes > 1
    if settings.precision == "64-true":
        module.double()  # Lightning would do so only after the averaged weights were set up in float32
    with quiet_lightning():
        trainer = new_trainer(
            placement,
            max_epochs=settings.epochs,
            callbacks=callbacks,
            logger=_logger(folder, settings),
            gradient_clip_val=settings.clip if module.automatic_optimization else None,
            enable_progress_bar=progress,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            strategy=strategy if several and placement.strategy == "auto" else placement.strategy,
            precision=settings.precision,
            plugins=[WholeCheckpoints()],
            use_distributed_sampler=False,
        )
        started = time.perf_counter()
        first_step = read_checkpoint(start)["global_step"] if start else 0
        # Data loaders draw from torch's global generator, to no effect here: the caller's is left alone.
        with interruptible(trainer, "training"), all_or_none(trainer), torch.random.fork_rng(devices=[]):
            trainer.fit(module, datamodule=data, ckpt_path=start, weights_only=True)
        seconds = time.perf_counter() - started
    best_epoch, value = trainer.current_epoch - 1, float("nan")
    if best is not None:
        first = trainer.is_global_zero
        content = trainer.strategy.broadcast(read_checkpoint(Path(best.best_model_path)) if first else None)
        module.load_state_dict(content["state_dict"])
        assert best.best_model_score is not None
        best_epoch, value = content["epoch"], float(best.best_model_score)
    module.cpu()
    steps = (trainer.global_step - first_step) / len(trainer.optimizers)
    return Outcome(
        epochs=trainer.current_epoch,
        best_epoch=best_epoch,
        best=value,
        seconds=seconds,
        images_per_second=steps * data.batch_size / seconds,
        stopped_by=_stop_reason(early, timer),
        device=trainer.strategy.root_device,
    )


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
        def _get_train_description(self, current_epoch: int) -> str:
            return f"{title} {super()._get_train_description(current_epoch)}".strip()

    return Titled(leave=False)
