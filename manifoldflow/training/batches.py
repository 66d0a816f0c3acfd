"""Batches of an in-memory image set whose order is a function of (seed, epoch), and which can begin anywhere in it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, DistributedSampler, Sampler, TensorDataset

from ..data import ImageSet

__all__ = ["EpochBatches", "ResumableLoader", "eval_loader"]


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches of indices; the last, incomplete batch of an epoch is left out.

    Lightning calls `set_epoch`; torch's DistributedSampler makes the order a function of (seed, epoch)
    and gives each of several processes its share.

    Args:
        size: Number of examples.
        batch_size: Examples a batch; fewer if a process has fewer.
        seed: Of the order.
        replicas, rank: Number of processes, and which one this is.
    """

    def __init__(self, size: int, batch_size: int, seed: int, replicas: int = 1, rank: int = 0) -> None:
        self.batch_size = min(batch_size, size // replicas)
        self.sampler: DistributedSampler = DistributedSampler(
            range(size),  # type: ignore[arg-type]  # only its length matters
            num_replicas=replicas,
            rank=rank,
            seed=seed,
            drop_last=True,
        )
        self._begin = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.sampler.set_epoch(epoch)

    def begin_at(self, step: int) -> None:
        """Let the epoch that optimiser step `step` belongs to begin at that step's batch; others are whole."""
        self._begin = divmod(step, len(self))

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        epoch, batch = self._begin
        first = batch if epoch == self.sampler.epoch else 0
        for number in range(first, len(self)):
            yield order[number * self.batch_size : (number + 1) * self.batch_size]

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size


class ResumableLoader(DataLoader):
    """Batches (index, images) in the order of an EpochBatches; the images are in memory, so no workers are needed."""

    def __init__(self, data: ImageSet, batches: EpochBatches) -> None:
        super().__init__(_indexed(data), sampler=batches, batch_size=None)
        self.batches = batches

    # Lightning takes a loader with these two for one that can resume inside an epoch. Where to begin
    # follows from the optimiser step alone (FlowModule.on_load_checkpoint), which is in every checkpoint.
    def state_dict(self) -> dict[str, Any]:
        """Nothing beyond the optimiser step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


def _indexed(data: ImageSet) -> TensorDataset:
    return TensorDataset(torch.arange(len(data)), data.images)


def eval_loader(data: ImageSet, batch_size: int) -> DataLoader:
    """All batches (index, images) in order."""
    return DataLoader(_indexed(data), batch_size=batch_size)
