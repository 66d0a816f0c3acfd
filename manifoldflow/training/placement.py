"""Where a training runs, and Lightning's trainer there: quiet, and honest about interruptions."""

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ..checks import check_integer
from ..errors import DataError

__all__ = [
    "Placement",
    "all_or_none",
    "ended_processes",
    "interruptible",
    "is_first_process",
    "new_trainer",
    "quiet_lightning",
]


@dataclass(frozen=True)
class Placement:
    """Where it runs. None of this changes the result beyond rounding.

    Args:
        accelerator: "auto", "cpu", "gpu" ... as Lightning's Trainer takes it.
        devices: Processes on each machine, each on a GPU of its own or on the CPU.
        num_nodes: Machines, which share a file system; the same command is started on each.
        strategy: As Lightning's Trainer takes it; "auto" is one process, or DistributedDataParallel over several.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        for name in ("devices", "num_nodes"):
            check_integer(name, getattr(self, name))


def is_first_process(placement: Placement) -> bool:
    """Whether this process writes the files; the others run the same command.

    Before there is a Trainer, Lightning knows a process' rank from what launchers set (RANK, LOCAL_RANK, SLURM_PROCID
    ...), which nobody does for the command that is started by hand on each machine: there NODE_RANK tells.
    """
    machine = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return int(rank_zero_only.rank) == 0 and (placement.num_nodes == 1 or int(machine) == 0)


def ended_processes(trainer: L.Trainer) -> str:
    """What became of the processes that this one started, if any of them has failed; else ""."""
    for process in getattr(trainer.strategy.launcher, "procs", ()):
        if code := process.poll():
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            return f"process {process.pid} of this run {how}"
    return ""


@contextmanager
def all_or_none(trainer: L.Trainer) -> Iterator[None]:
    """End the other processes when this one fails, as they would wait for it; say so when one of them has failed.

    Raises:
        ChildProcessError: Another process has ended.
    """
    try:
        yield
    except BaseException as error:
        ended = ended_processes(trainer)
        if getattr(trainer.strategy.launcher, "procs", None):
            trainer.strategy.launcher.kill(signal.SIGKILL)
        if ended and isinstance(error, RuntimeError):  # torch's word for a broken connection
            raise ChildProcessError(ended) from error
        raise


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
