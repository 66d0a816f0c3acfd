"""Where a training runs: devices, machines, strategy, all as Lightning takes them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import lightning as L
from lightning.pytorch.utilities.rank_zero import rank_zero_only

__all__ = ["Placement", "all_or_none", "ended_processes", "is_first_process"]


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
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


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
