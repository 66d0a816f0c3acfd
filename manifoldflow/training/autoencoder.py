"""Training a model of images that has one loss: a VAE or a WAE."""

from typing import Any, Protocol, TypeVar

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ..errors import DataError
from .trainer import quiet_lightning

__all__ = ["AutoencoderModule", "check_images", "fit_images", "train_autoencoder"]


class HasLoss(Protocol):
    """A model with a loss of images."""

    def loss(self, x: Tensor) -> Tensor:
        """The loss of a batch."""


Model = TypeVar("Model", bound=nn.Module)


class AutoencoderModule(L.LightningModule):
    """Adam on `model.loss(x)`."""

    def __init__(self, model: Any, learning_rate: float) -> None:
        super().__init__()
        self.model, self.learning_rate = model, learning_rate

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.model.loss(batch[0])
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {float(loss.detach())} at step {self.global_step}; lower learning_rate"
            )
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=self.learning_rate)


def train_autoencoder(
    model: Model,
    images: Tensor,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
    accelerator: str = "auto",
) -> Model:
    """Train a model with a `loss` of images in place, and return it in eval mode.

    Args:
        model: A VAE, a WAE or any module with `loss(x)`.
        images: Training images `(m, channels, height, width)` in [0, 1], at least one batch.
        epochs: Passes over the images.
        batch_size: Images per step.
        learning_rate: Of Adam.
        seed: Of the order of the images and the model's draws.
        progress: Show Lightning's progress bar.
        accelerator: As Lightning's Trainer takes it.

    Raises:
        DataError: Images of the wrong shape or range, or fewer than one batch.
        FloatingPointError: The loss became NaN or infinite.
    """
    module = AutoencoderModule(model, learning_rate)
    model.train()
    fit_images(module, images, epochs, batch_size, seed, progress, accelerator)
    return model.eval()


def fit_images(
    module: L.LightningModule,
    images: Tensor,
    epochs: int,
    batch_size: int,
    seed: int,
    progress: bool,
    accelerator: str,
) -> None:
    """Run a Lightning module over shuffled batches of images."""
    check_images(images, batch_size)
    torch.manual_seed(seed)
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
    with quiet_lightning():
        trainer = L.Trainer(
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            accelerator=accelerator,
        )
        trainer.fit(module, loader)
    module.cpu()


def check_images(images: Tensor, batch_size: int) -> None:
    """Raise unless images are `(m, channels, height, width)` in [0, 1], m at least a batch."""
    if images.ndim != 4 or not images.is_floating_point() or len(images) < batch_size:
        raise DataError(
            f"images: expected at least {batch_size} floating-point images (m, channels, height, width), got "
            f"{images.dtype} of shape {tuple(images.shape)}"
        )
    low, high = images.min().item(), images.max().item()
    if not (low >= 0 and high <= 1):
        raise DataError(f"images: expected values in [0, 1], got {low:g} to {high:g}; divide by the highest level")
