"""The profile of paths against the base's own distribution: the soap-bubble picture."""

from dataclasses import dataclass

import torch
from pyro.distributions import TorchDistribution
from scipy.stats import kstest
from torch import Tensor

from ..distributions import Gaussian, VonMisesFisher
from ..realism import log_density_z

__all__ = ["Profile", "base_statistic", "path_profile"]

_BAND = (0.05, 0.5, 0.95)
_DRAWS = 4000


@dataclass(frozen=True)
class Profile:
    """A statistic of path points over time, beside its law under the base.

    Args:
        statistic: What it is.
        times: (m,).
        path: Quantiles 5, 50 and 95 % over the pairs, (3, m).
        base: The same quantiles under the base, (3,).
        z_score: Mean over pairs of the base log-density in standard deviations from its mean under
            the base, (m,); negative is less dense than typical.
        typicality: Mean over pairs of the two-sided typicality, (m,): 1/2 for draws from the base.
        ks: Kolmogorov-Smirnov distance between the law of the log-density over the pairs and that of a draw
            from the base, (m,); up to sampling, 0 where a path preserves the base's law.
        realism: The share F of draws that are less dense than each path point, (pairs, m): the base's density index.
        values: The statistic itself, (pairs, m).
    """

    statistic: str
    times: Tensor
    path: Tensor
    base: Tensor
    z_score: Tensor
    typicality: Tensor
    ks: Tensor
    realism: Tensor
    values: Tensor


def base_statistic(base: TorchDistribution) -> tuple[str, Tensor | None]:
    """The name of the one-dimensional statistic on which a base depends, and its mean direction if it has one."""
    if isinstance(base, Gaussian):
        return "norm |z|", None
    if isinstance(base, VonMisesFisher):
        return "cosine to the mean direction", base.loc
    return "base log-density (nats)", None


def _evaluate(base: TorchDistribution, s: Tensor) -> Tensor:
    name, direction = base_statistic(base)
    if direction is not None:
        return s @ direction
    return s.norm(dim=-1) if name.startswith("norm") else base.log_prob(s)


def path_profile(base: TorchDistribution, points: Tensor, times: Tensor, *, seed: int) -> Profile:
    """Profile of path points s (pairs, m, n) at `times` (m,) against draws from the base.

    The law of the log-density of a draw is exact for the Gaussian and the von Mises-Fisher base, sampled for others;
    `seed` decides those draws.
    """
    z, scores, values = [], [], []
    for part in points.split(100):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # so that every part is judged by the same draws
            z.append(log_density_z(base, part))
            scores.append(log_density_z(base, part, normal_score=True))
        values.append(_evaluate(base, part))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draws = base.sample((_DRAWS,))
    below = torch.special.ndtr(torch.cat(scores).double())
    statistic, quantiles = torch.cat(values), torch.tensor(_BAND, dtype=points.dtype)
    return Profile(
        statistic=base_statistic(base)[0],
        times=times,
        path=statistic.quantile(quantiles, dim=0),
        base=_evaluate(base, draws).quantile(quantiles),
        z_score=torch.cat(z).mean(0),
        typicality=2 * torch.minimum(below, 1 - below).mean(0),
        ks=torch.tensor([kstest(column.numpy(), "uniform").statistic for column in below.T]),
        realism=below,
        values=statistic,
    )
