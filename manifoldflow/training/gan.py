"""Training a generative adversarial network: the discriminator and the generator take turns."""

import lightning as L
import torch
from torch import Tensor

from ..models import DCGAN
from .autoencoder import fit_images

__all__ = ["GANModule", "train_gan"]


class GANModule(L.LightningModule):
    """One Adam step of the discriminator and one of the generator for every batch."""

    def __init__(self, model: DCGAN, learning_rate: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model, self.learning_rate = model, learning_rate

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images = batch[0]
        losses = (self.model.discriminator_loss, self.model.generator_loss)
        for optimizer, loss_of, name in zip(self.optimizers(), losses, ("discriminator", "generator")):
            loss = loss_of(images)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the {name}'s loss became {float(loss.detach())}; lower learning_rate")
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.log(name, loss, prog_bar=True)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(part.parameters(), lr=self.learning_rate, betas=(0.5, 0.999))
            for part in (self.model.discriminator, self.model.generator)
        ]


def train_gan(
    model: DCGAN,
    images: Tensor,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 2e-4,
    seed: int = 0,
    progress: bool = True,
    accelerator: str = "auto",
) -> DCGAN:
    """Train a DCGAN in place, and return it in eval mode.

    Args:
        model: The generator and discriminator.
        images: Training images `(m, channels, height, width)` in [0, 1], at least one batch.
        epochs: Passes over the images.
        batch_size: Images per step.
        learning_rate: Of both Adams.
        seed: Of the order of the images and the latents.
        progress: Show Lightning's progress bar.
        accelerator: As Lightning's Trainer takes it.

    Raises:
        DataError: Images of the wrong shape or range, or fewer than one batch.
        FloatingPointError: A loss became NaN or infinite.
    """
    model.train()
    fit_images(GANModule(model, learning_rate), images, epochs, batch_size, seed, progress, accelerator)
    return model.eval()
