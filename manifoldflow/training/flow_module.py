"""Maximum likelihood training of a flow as a Lightning module, and its loss on held-out images."""

from typing import Any

import torch
from torch import Tensor

from ..data import ImageSet, bits_per_dim, dequantise, hashed_uniform
from ..flows import ManifoldFlow
from .batches import eval_loader
from .module import TrainingModule
from .settings import TrainSettings

__all__ = ["EVAL_BATCH", "FlowModule", "held_out_bits_per_dim"]

EVAL_BATCH = 500
_VALIDATION_EPOCH = 2**31 - 1
"""The noise of validation and test is that of no training epoch, and always the same."""


class FlowModule(TrainingModule):
    """Maximum likelihood with uniform dequantisation; the loss is in bits per dimension."""

    def __init__(self, flow: ManifoldFlow, *, dim: int, levels: int, settings: TrainSettings, steps: int) -> None:
        super().__init__(settings, steps)
        self.flow, self.dim, self.levels = flow, dim, levels
        self._log_prob = flow.log_prob

    def on_fit_start(self) -> None:
        """Compile here: what is compiled cannot be copied, as weight averaging does at set-up."""
        self._log_prob = torch.compile(self.flow.log_prob) if self.settings.compile else self.flow.log_prob

    def _loss(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        index, images = batch
        noise = hashed_uniform(index, self.dim, seed=self.settings.seed, epoch=epoch)
        x = dequantise(images, self.levels, noise.view(images.shape))
        return bits_per_dim(self._log_prob(x), self.dim, self.levels).mean()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch, self.current_epoch)
        self.check_finite(loss, "the training loss", self.global_step)
        several = self.trainer.world_size > 1
        self.log(
            "train_bpd", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=several
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = self._loss(batch, _VALIDATION_EPOCH)
        several = self.trainer.world_size > 1
        self.log("validation_bpd", loss, prog_bar=True, batch_size=len(batch[0]), sync_dist=several)

    def configure_optimizers(self) -> dict[str, Any]:
        return self.adam(self.parameters())


@torch.no_grad()
def held_out_bits_per_dim(flow: ManifoldFlow, data: ImageSet, *, seed: int, draws: int = 1) -> Tensor:
    """Bits per dimension of each image, shape (N,), averaged over `draws` of the dequantisation noise.

    Computed on the flow's device; the result is on the CPU, as the noise, which so is the same for every device.
    """
    like = next(flow.parameters(), torch.empty(0))
    total = torch.zeros(len(data), dtype=like.dtype)
    dim = data.images[0].numel()
    for draw in range(draws):
        for index, images in eval_loader(data.images, EVAL_BATCH):
            noise = hashed_uniform(index, dim, seed=seed, epoch=_VALIDATION_EPOCH - 1 - draw)
            x = dequantise(images, data.levels, noise.view(images.shape)).to(like)
            total[index] += bits_per_dim(flow.log_prob(x), dim, data.levels).cpu()
    return total / draws
