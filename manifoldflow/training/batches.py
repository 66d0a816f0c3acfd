"""Batches of an in-memory image set whose order is a function of (seed, epoch)."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, DistributedSampler, Sampler, TensorDataset

from ..data import ImageSet

__all__ = ["EpochBatches", "eval_loader", "train_loader"]


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches of indices; the last, incomplete batch of an epoch is left out.

    Lightning calls `set_epoch`; torch's DistributedSampler makes the order a function of (seed, epoch)
    and gives each of several processes its share.
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

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size


def _data(data: ImageSet) -> TensorDataset:
    return TensorDataset(torch.arange(len(data)), data.images)


def train_loader(
    data: ImageSet, batch_size: int, seed: int, replicas: int = 1, rank: int = 0
) -> tuple[DataLoader, EpochBatches]:
    """Shuffled batches (index, images); the images are in memory, so no worker processes are needed."""
    batches = EpochBatches(len(data), batch_size, seed, replicas, rank)
    return DataLoader(_data(data), sampler=batches, batch_size=None), batches


def eval_loader(data: ImageSet, batch_size: int) -> DataLoader:
    """All batches (index, images) in order."""
    return DataLoader(_data(data), batch_size=batch_size)
