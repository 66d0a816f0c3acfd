"""Manners for Lightning's trainer: quiet about data in memory, and honest about interruptions."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException

from ..errors import DataError
from .placement import Placement

__all__ = ["interruptible", "new_trainer", "quiet_lightning"]


def new_trainer(placement: Placement, **options: Any) -> L.Trainer:
    """Lightning's Trainer at a placement; call it, as what uses it, inside `quiet_lightning`.

    Raises:
        DataError: An accelerator, devices or a strategy that Lightning does not have here.
    """
    try:
        return L.Trainer(**{**asdict(placement), **options})
    except (MisconfigurationException, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"accelerator, devices, strategy: Lightning cannot run on {placement}: {reason:.300}; "
            "leave them out to run in one process on what there is"
        ) from error


@contextmanager
def interruptible(trainer: L.Trainer, what: str) -> Iterator[None]:
    """Raise KeyboardInterrupt with the step reached; Lightning itself exits and goes on ignoring the signal."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt(f"{what} stopped at step {trainer.global_step}") from None
    finally:
        if handler is not None and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's hints on hardware and workers silenced, for data that is in memory anyway."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for message in (
                ".*does not have many workers.*",
                ".*logging interval.*",
                "Checkpoint directory .* exists.*",
                ".*have no `validation_step`.*",
                "Total length of .* across ranks is zero.*",  # without validation images; no block left to solve
                ".*manual optimization and every_n_train_steps.*",  # after the step is what we resume from
            ):
                warnings.filterwarnings("ignore", message)
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="(lightning|torch).*")
            warnings.filterwarnings("ignore", category=FutureWarning, module="(lightning|torch).*")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
