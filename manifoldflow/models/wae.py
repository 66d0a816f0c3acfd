"""A Wasserstein autoencoder with any prior."""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ..checks import check_integer, check_number, check_tensors
from ..distributions import Gaussian
from .dcgan import image_generator
from .prior import check_image_shape, check_rows, latent_dim_of

__all__ = ["WAE", "maximum_mean_discrepancy"]

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def maximum_mean_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    r"""Unbiased squared maximum mean discrepancy of samples `(m, n)` under inverse multiquadratic kernels.

    :math:`k(x, y) = \sum_s C_s / (C_s + |x - y|^2)` with :math:`C_s = 2 s \, tr(cov\, y)`, s from 0.1 to 10: for a
    standard normal `y` the constants of the reference.

    Reference: Tolstikhin et al., Wasserstein auto-encoders, ICLR 2018 (arXiv 1711.01558), section 4.
    """
    check_tensors({"x": x, "y": y}, broadcast=False)
    if x.shape != y.shape or x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"x, y: expected samples of one shape (m, n) with m >= 2, got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    spread = 2 * y.var(0).sum().detach()
    points = torch.cat([x, y])
    # Squared distances by a product: cdist has no gradient at zero distance.
    norms = points.square().sum(-1)
    squared = (norms[:, None] + norms - 2 * points @ points.T).clamp(min=0)
    kernel = sum((s * spread / (s * spread + squared) for s in _SCALES), torch.zeros_like(squared))
    m = len(x)
    own = kernel[:m, :m].sum() + kernel[m:, m:].sum() - kernel.diagonal().sum()
    return own / (m * (m - 1)) - 2 * kernel[:m, m:].mean()


class WAE(nn.Module):
    """A deterministic autoencoder whose latents are pulled towards a prior by their maximum mean discrepancy.

    Args:
        image_shape: (channels, height, width), height and width divisible by 4.
        latent_dim: Number of coordinates of a latent, unless there is a prior.
        prior: Distribution of latent vectors with `sample`; None for the standard normal.
        channels: Channels of the widest resolution; the next has twice as many.
        penalty: Weight of the discrepancy against the squared error of an image.

    Images have values in [0, 1]. Decode in eval mode, as batch normalisation is used.

    Raises:
        ValueError: An image shape or prior that does not fit.

    Reference: Tolstikhin et al., Wasserstein auto-encoders, ICLR 2018 (arXiv 1711.01558), algorithm 2.
    """

    origin: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 20,
        *,
        prior: TorchDistribution | None = None,
        channels: int = 32,
        penalty: float = 10.0,
    ) -> None:
        super().__init__()
        self.image_shape = check_image_shape(image_shape, 4)
        channels = check_integer("channels", channels)
        self.latent_dim = latent_dim_of(prior, latent_dim)
        self._prior, self.penalty = prior, check_number("penalty", penalty, positive=True)
        self.register_buffer("origin", torch.zeros(self.latent_dim), persistent=False)
        colours, height, width = image_shape
        self.encoder = nn.Sequential(
            nn.Conv2d(colours, channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * (height // 4) * (width // 4), self.latent_dim),
        )
        self.decoder = image_generator(self.latent_dim, image_shape, channels)

    def __repr__(self) -> str:
        return f"WAE({self.image_shape}, latent_dim={self.latent_dim}, prior={self.prior!r})"

    @property
    def prior(self) -> Any:
        """p(z)."""
        return Gaussian(self.origin) if self._prior is None else self._prior

    def encode(self, x: Tensor) -> Tensor:
        """Latents `(rows, n)` of images `(rows, channels, height, width)`."""
        check_rows(self, "x", x, self.image_shape)
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images `(rows, channels, height, width)` of latents `(rows, n)`."""
        check_rows(self, "z", z, (self.latent_dim,))
        return self.decoder(z)

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of an image, plus the weighted discrepancy of the batch's latents from draws of the prior."""
        z = self.encode(x)
        error = (self.decode(z) - x).square().flatten(1).sum(-1).mean()
        return error + self.penalty * maximum_mean_discrepancy(z, self.prior.sample((len(x),)).to(z))

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Images of draws from the prior, `(count, channels, height, width)`."""
        return self.decode(self.prior.sample((check_integer("count", count, 0),)))
