"""A deep convolutional generative adversarial network with any prior."""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..checks import check_integer
from ..distributions import Gaussian
from .prior import check_image_shape, check_rows, latent_dim_of

__all__ = ["DCGAN", "image_generator"]


def image_generator(latent_dim: int, image_shape: tuple[int, int, int], channels: int) -> nn.Sequential:
    """Latents `(rows, n)` to images in [0, 1]: a linear layer and two transposed convolutions with batch norm."""
    colours, height, width = image_shape
    return nn.Sequential(
        nn.Linear(latent_dim, 2 * channels * (height // 4) * (width // 4)),
        nn.Unflatten(1, (2 * channels, height // 4, width // 4)),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, colours, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


class DCGAN(nn.Module):
    """A generator of images from latents of any prior, and the discriminator that trains it.

    Args:
        image_shape: (channels, height, width), height and width divisible by 4.
        latent_dim: Number of coordinates of a latent, unless there is a prior.
        prior: Distribution of latent vectors with `sample`, such as `realism.semicircle(20)`; None: standard normal.
        channels: Channels of the widest resolution; the next has twice as many.

    Images have values in [0, 1]. Decode in eval mode (`model.eval()`): in training mode batch normalisation makes a
    decoded image depend on its batch.

    Raises:
        ValueError: An image shape or prior that does not fit.

    Reference: Radford, Metz, Chintala, Unsupervised representation learning with deep convolutional generative
    adversarial networks, ICLR 2016 (arXiv 1511.06434).
    """

    origin: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 20,
        *,
        prior: TorchDistribution | None = None,
        channels: int = 32,
    ) -> None:
        super().__init__()
        self.image_shape = check_image_shape(image_shape, 4)
        channels = check_integer("channels", channels)
        self.latent_dim = latent_dim_of(prior, latent_dim)
        self._prior = prior
        self.register_buffer("origin", torch.zeros(self.latent_dim), persistent=False)
        colours, height, width = image_shape
        self.generator = image_generator(self.latent_dim, image_shape, channels)
        self.discriminator = nn.Sequential(
            nn.Conv2d(colours, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * channels * (height // 4) * (width // 4), 1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def __repr__(self) -> str:
        return f"DCGAN({self.image_shape}, latent_dim={self.latent_dim}, prior={self.prior!r})"

    @property
    def prior(self) -> Any:
        """p(z)."""
        return Gaussian(self.origin) if self._prior is None else self._prior

    def decode(self, z: Tensor) -> Tensor:
        """Images `(rows, channels, height, width)` of latents `(rows, n)`."""
        check_rows(self, "z", z, (self.latent_dim,))
        return self.generator(z)

    def discriminate(self, x: Tensor) -> Tensor:
        """Logits `(rows,)` of images being real."""
        check_rows(self, "x", x, self.image_shape)
        return self.discriminator(x).squeeze(-1)

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """Cross-entropy of telling images from as many generated ones; the generator gets no gradient."""
        with torch.no_grad():
            fake = self.decode(self._latents(x))
        real_logits, fake_logits = self.discriminate(x), self.discriminate(fake)
        real = binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, 0.9))
        return real + binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))

    def generator_loss(self, x: Tensor) -> Tensor:
        """Minus the log-probability that as many generated images as `x` pass for real (non-saturating)."""
        logits = self.discriminate(self.decode(self._latents(x)))
        return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Images of draws from the prior, `(count, channels, height, width)`."""
        return self.decode(self.prior.sample((check_integer("count", count, 0),)))

    def _latents(self, x: Tensor) -> Tensor:
        return self.prior.sample((len(x),)).to(x)
