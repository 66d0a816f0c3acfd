"""Batches of an in-memory image set whose order is a function of (seed, epoch), and which can begin anywhere in it."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, Sampler, TensorDataset

from ..errors import DataError

__all__ = ["EpochBatches", "ImageData", "ResumableLoader", "eval_loader"]


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches of indices; the last, incomplete batch of an epoch is left out.

    Lightning calls `set_epoch`; torch's DistributedSampler makes the order a function of (seed, epoch)
    and gives each of several processes its share.

    Args:
        size: Number of examples.
        batch_size: Examples a batch of this process; fewer if a process has fewer.
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
        """Let the epoch that step `step` belongs to begin at that step's batch; others are whole."""
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

    def __init__(self, images: Tensor, batches: EpochBatches) -> None:
        super().__init__(_indexed(images), sampler=batches, batch_size=None)
        self.batches = batches

    # Lightning takes a loader with these two for one that can resume inside an epoch. Where to begin
    # is in the state of ImageData.
    def state_dict(self) -> dict[str, Any]:
        """Nothing beyond the optimiser step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


class ImageData(L.LightningDataModule):
    """Training and validation images in memory, shared out over the processes of Lightning's trainer.

    Every process takes its part of each batch, so that the batches, and the steps, are those of one process.

    Args:
        train: Images `(m, c, h, w)`, of any dtype.
        validation: Images of the same kind, or None.
        batch_size: Images a step, over all processes; at most the number of images.
        eval_batch: The same in validation.
        seed: Of the order.
    """

    def __init__(
        self, train: Tensor, validation: Tensor | None, *, batch_size: int, eval_batch: int, seed: int
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.batch_size, self.eval_batch, self.seed = min(batch_size, len(train)), eval_batch, seed
        self._step = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches of a pass over the training images."""
        return len(self.train) // self.batch_size

    def _processes(self) -> tuple[int, int]:
        assert self.trainer is not None
        return self.trainer.world_size, self.trainer.global_rank

    def train_dataloader(self) -> ResumableLoader:
        """This process' part of each batch.

        Raises:
            DataError: The batch size is not a multiple of the number of processes.
        """
        replicas, rank = self._processes()
        if self.batch_size % replicas:
            raise DataError(
                f"batch_size: expected a multiple of the {replicas} processes that share a batch, got "
                f"{self.batch_size}; give another batch size or number of devices"
            )
        batches = EpochBatches(len(self.train), self.batch_size // replicas, self.seed, replicas, rank)
        batches.begin_at(self._step)
        return ResumableLoader(self.train, batches)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """This process' part of each validation batch; every process has as many batches."""
        if self.validation is None:
            return []
        replicas, rank = self._processes()
        size = len(self.validation)
        if replicas == 1:
            return eval_loader(self.validation, self.eval_batch)
        if size < replicas:
            raise DataError(f"validation: expected at least an image for each of {replicas} processes, got {size}")
        parts = torch.arange(size).tensor_split(-(-size // self.eval_batch) * replicas)
        return DataLoader(_indexed(self.validation), batch_sampler=[part.tolist() for part in parts[rank::replicas]])

    def state_dict(self) -> dict[str, Any]:
        """The number of batches seen."""
        assert self.trainer is not None
        # With several optimisers (a GAN's) each counts in `global_step`.
        return {"step": self.trainer.global_step // len(self.trainer.optimizers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin where a checkpoint was written."""
        self._step = state["step"]


def _indexed(images: Tensor) -> TensorDataset:
    return TensorDataset(torch.arange(len(images)), images)


def eval_loader(images: Tensor, batch_size: int) -> DataLoader:
    """All batches (index, images) in order."""
    # Without a generator of its own a loader draws from torch's global one.
    return DataLoader(_indexed(images), batch_size=batch_size, generator=torch.Generator())
