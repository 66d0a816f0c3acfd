"""Where a training runs: devices, machines, strategy, all as Lightning takes them."""

from dataclasses import dataclass

from lightning.pytorch.utilities.rank_zero import rank_zero_only

__all__ = ["Placement", "is_first_process"]


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


def is_first_process() -> bool:
    """Whether this process writes the files; Lightning starts the others with the same command."""
    return int(rank_zero_only.rank) == 0
