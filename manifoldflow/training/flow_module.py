"""Maximum likelihood training of a flow as a Lightning module, and its loss on held-out images."""

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor

from ..data import ImageSet, bits_per_dim, dequantise, hashed_uniform
from ..flows import ManifoldFlow
from .batches import EpochBatches, eval_loader
from .settings import TrainSettings

__all__ = ["EVAL_BATCH", "FlowModule", "held_out_bits_per_dim"]

EVAL_BATCH = 500
_VALIDATION_EPOCH = 2**31 - 1
"""The noise of validation and test is that of no training epoch, and always the same."""


class FlowModule(L.LightningModule):
    """Maximum likelihood with uniform dequantisation; the loss is in bits per dimension."""

    def __init__(
        self, flow: ManifoldFlow, *, dim: int, levels: int, settings: TrainSettings, batches: EpochBatches
    ) -> None:
        super().__init__()
        self.flow, self.dim, self.levels, self.settings, self.batches = flow, dim, levels, settings, batches
        self.steps = settings.epochs * len(batches)

    def _loss(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        index, images = batch
        noise = hashed_uniform(index, self.dim, seed=self.settings.seed, epoch=epoch)
        x = dequantise(images, self.levels, noise.view(images.shape))
        return bits_per_dim(self.flow(x), self.dim, self.levels).mean()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch, self.current_epoch)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {float(loss.detach())} at step {self.global_step}; "
                "try a smaller learning_rate or a longer warmup"
            )
        self.log("train_bpd", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = self._loss(batch, _VALIDATION_EPOCH)
        self.log("validation_bpd", loss, prog_bar=True, batch_size=len(batch[0]))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches.begin_at(checkpoint["global_step"])

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))


@torch.no_grad()
def held_out_bits_per_dim(flow: ManifoldFlow, data: ImageSet, *, seed: int, draws: int = 1) -> Tensor:
    """Bits per dimension of each image, shape (N,), averaged over `draws` of the dequantisation noise."""
    total = torch.zeros(len(data))
    dim = data.images[0].numel()
    for draw in range(draws):
        for index, images in eval_loader(data, EVAL_BATCH):
            noise = hashed_uniform(index, dim, seed=seed, epoch=_VALIDATION_EPOCH - 1 - draw)
            x = dequantise(images, data.levels, noise.view(images.shape))
            total[index] += bits_per_dim(flow.log_prob(x), dim, data.levels)
    return total / draws
