"""The job as Lightning sees it: blocks as batches, a step that solves one, a callback that writes it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..training.placement import ended_processes
from .end_points import EndPoints
from .rows import RowResults, RowSolver
from .shards import Block, is_merged, pending, write_shard

__all__ = ["RowModule", "ShardWriter"]

_Batch = tuple[Block, np.ndarray, np.ndarray]


class _Blocks(Dataset[_Batch]):
    """Blocks of end points, read when they are wanted; as numpy arrays, since paths are computed on the CPU."""

    def __init__(self, ends: EndPoints, blocks: list[Block]) -> None:
        self.ends, self.blocks = ends, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, i: int) -> _Batch:
        return self.blocks[i], *self.ends.read(*self.blocks[i])


def _the_one(items: list[_Batch]) -> _Batch:
    return items[0]


class RowModule(L.LightningModule):
    """Solves blocks of rows with a flow on whatever device Lightning gives it.

    Args:
        solver: Solves a block.
        network: Of the features, so that it moves with the flow; None for none.
        load: Called in every process once the first one has prepared the folder.
        ends, blocks: All rows.
        folder: Where shards are.
    """

    def __init__(
        self,
        solver: RowSolver,
        network: nn.Module | None,
        load: Callable[[Path], object],
        ends: EndPoints,
        blocks: list[Block],
        folder: Path,
    ) -> None:
        super().__init__()
        self.solver, self.load, self.ends, self.blocks, self.folder = solver, load, ends, blocks, folder
        self.flow, self.network = solver.flow, network

    def setup(self, stage: str) -> None:
        self.load(self.folder)

    def predict_dataloader(self) -> DataLoader[_Batch]:
        """The unfinished blocks as the first process sees them; Lightning gives every process its share."""
        todo = [] if is_merged(self.folder) else pending(self.folder, self.blocks, self.solver.fields)
        todo = self.trainer.strategy.broadcast(todo)
        # Lightning's sampler wants a batch for every process; a block that two of them solve is the same twice.
        todo = [todo[i % len(todo)] for i in range(max(len(todo), self.trainer.world_size))] if todo else []
        return DataLoader(_Blocks(self.ends, todo), batch_size=1, collate_fn=_the_one)

    def predict_step(self, batch: _Batch, batch_idx: int) -> RowResults:
        (first, last), start, end = batch
        return self.solver(torch.arange(first, last + 1), start, end)


class ShardWriter(BasePredictionWriter):
    """Writes every block as it is finished, and stops where another process of the job has died.

    Raises:
        ChildProcessError: Another process has ended.
        InterruptedError: The job was asked to stop (SIGTERM, as batch systems send it).
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(write_interval="batch")
        self.folder, self.parent = folder, os.getppid()

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: RowResults,
        batch_indices: Sequence[int] | None,
        batch: _Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        write_shard(self.folder, batch[0], prediction)
        if trainer.received_sigterm:
            raise InterruptedError("asked to stop")
        if trainer.local_rank > 0 and os.getppid() != self.parent:
            raise ChildProcessError("the process that started this one has ended")
        if ended := ended_processes(trainer):
            raise ChildProcessError(ended)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait until every process has written its last block."""
        try:
            trainer.strategy.barrier("all rows are written")
        except RuntimeError as error:  # what a broken connection or a time-out is for torch
            raise ChildProcessError(f"another process has ended, or did not answer ({error})") from error
