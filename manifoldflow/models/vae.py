"""A small convolutional variational autoencoder with any prior of this library."""

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, kl_divergence

from ..checks import check_integer
from ..distributions import Gaussian, law_of
from .prior import check_image_shape, check_rows, latent_dim_of

__all__ = ["VAE"]


class VAE(nn.Module):
    r"""Variational autoencoder :math:`q(z|x)`, :math:`p(x|z)`, :math:`p(z)` of images with values in [0, 1].

    Two strided convolutions and a hidden layer encode, the mirror image decodes; every pixel is Bernoulli. The
    posterior has the prior's family: von Mises-Fisher on the sphere, Dirichlet on the simplex, a Gaussian with
    independent coordinates everywhere else.

    Args:
        image_shape: (channels, height, width).
        latent_dim: Number of coordinates of a latent, unless there is a prior.
        prior: Distribution of latent vectors with `sample` and `log_prob`; None for the standard normal. It stays on
            its own device.
        channels: Channels of the first convolution; the second has twice as many.
        hidden: Width of the hidden layer.

    Raises:
        ValueError: An image shape or latent dimension that is not positive, or a prior that is not one vector.

    Reference: Kingma and Welling, Auto-encoding variational Bayes, ICLR 2014 (arXiv 1312.6114); Davidson et al.,
    Hyperspherical variational auto-encoders, UAI 2018, for the sphere.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 2,
        *,
        prior: TorchDistribution | None = None,
        channels: int = 32,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.image_shape = check_image_shape(image_shape)
        n = self.latent_dim = latent_dim_of(prior, latent_dim)
        channels, hidden = check_integer("channels", channels), check_integer("hidden", hidden)
        self._prior = prior
        self.register_buffer("_zero", torch.zeros(n))
        colours, height, width = image_shape
        sizes = [(height, width)]
        for _ in range(2):
            sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
        flat = 2 * channels * sizes[2][0] * sizes[2][1]
        self.encoder = nn.Sequential(
            nn.Conv2d(colours, channels, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * n),
        )
        self.decoder = nn.Sequential(
            nn.Linear(n, hidden),
            nn.SiLU(),
            nn.Linear(hidden, flat),
            nn.Unflatten(1, (2 * channels, *sizes[2])),
            nn.SiLU(),
            nn.Upsample(size=sizes[1]),
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Upsample(size=sizes[0]),
            nn.Conv2d(channels, colours, 3, padding=1),
        )
        # torch's default shrinks the signal at every layer, so that all posteriors begin as the prior and stay there
        # long.
        for layer in [*self.encoder, *self.decoder]:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def __repr__(self) -> str:
        return f"VAE({self.image_shape}, latent_dim={self.latent_dim}, prior={self.prior!r})"

    @property
    def prior(self) -> Any:
        """p(z)."""
        zero = self._zero
        assert isinstance(zero, Tensor)
        return Gaussian(zero) if self._prior is None else self._prior

    def posterior(self, x: Tensor) -> Distribution:
        """q(z|x) of images `(rows, channels, height, width)`, batch shape `(rows,)`."""
        check_rows(self, "x", x, self.image_shape)
        place, spread = self.encoder(x).chunk(2, -1)
        family = law_of(self._prior).variational
        if family is not None:
            return family(place, spread)
        return Gaussian(place, nn.functional.softplus(spread) + 1e-4)

    def encode(self, x: Tensor) -> Tensor:
        """The centre of q(z|x), `(rows, n)`: its mode on the sphere, its mean elsewhere."""
        posterior = self.posterior(x)
        return posterior.mode if law_of(posterior).on_sphere else posterior.mean

    def decode(self, z: Tensor) -> Tensor:
        """The mean image of p(x|z) for latents `(rows, n)`, values in [0, 1]."""
        check_rows(self, "z", z, (self.latent_dim,))
        return self.decoder(z).sigmoid()

    def observation(self, z: Tensor) -> Distribution:
        """p(x|z) of latents `(rows, n)`: independent Bernoulli pixels."""
        check_rows(self, "z", z, (self.latent_dim,))
        return Independent(Bernoulli(logits=self.decoder(z), validate_args=False), 3)

    def loss(self, x: Tensor) -> Tensor:
        """Negative evidence lower bound in nats an image, by one draw from q(z|x); pixels count as probabilities.

        The divergence from the prior is exact where torch knows it, and otherwise log q - log p of the draw.
        """
        posterior = self.posterior(x)
        z = posterior.rsample()
        try:
            divergence = kl_divergence(posterior, self.prior)
        except NotImplementedError:
            divergence = posterior.log_prob(z) - self.prior.log_prob(z)
        return (divergence - self.observation(z).log_prob(x)).mean()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Mean images of draws from the prior, `(count, channels, height, width)`."""
        return self.decode(self.prior.sample((check_integer("count", count, 0),)))
