"""Diagnostics for draws of directions: convergence, means and spread, credible caps, regions of highest density."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from torch import Tensor

from ..checks import check_number
from ..manifolds import Hypersphere, check_points, frechet_mean

__all__ = [
    "CredibleCap",
    "DirectionSummary",
    "credible_cap",
    "direction_ess",
    "direction_rhat",
    "in_highest_density",
    "summarize_directions",
    "to_arviz",
]


class DirectionSummary(NamedTuple):
    """Mean direction `(*batch, n)`, mean resultant length and dispersion, both `(*batch,)`."""

    mean: Tensor
    resultant: Tensor
    dispersion: Tensor


class CredibleCap(NamedTuple):
    """Centre `(*batch, n)` of a cap and its angle `(*batch,)` from centre to edge, in radians."""

    centre: Tensor
    angle: Tensor


def direction_rhat(draws: Tensor) -> Tensor:
    """Split R-hat of directions `(*batch,)`: the largest over the coordinates of `direction_ess`.

    Args:
        draws: Unit vectors `(chains, draws, *batch, n)`, at least 4 draws, as `get_samples(group_by_chain=True)` gives.

    Raises:
        OffManifoldError: A draw is no unit vector.
        ValueError: There are too few dimensions or draws.

    NaN where the draws do not move. Reference: A. Gelman et al., Bayesian Data Analysis, 3rd ed. 2013, section 11.4.

    >>> from manifoldflow.distributions import SphericalUniform
    >>> x = SphericalUniform(2).sample((4, 500))
    >>> bool(direction_rhat(x) < 1.05)
    True
    """
    return split_gelman_rubin(_coordinates(_checked(draws))).amax(-1).to(draws.dtype)


def direction_ess(draws: Tensor) -> Tensor:
    """Effective sample size of directions `(*batch,)`: the least over all coordinates.

    The coordinates are those of the tangent space at the Frechet mean (of the log map) and of the surrounding R^n.

    Args:
        draws: Unit vectors `(chains, draws, *batch, n)`, at least 4 draws, as `get_samples(group_by_chain=True)` gives.

    Raises:
        OffManifoldError: A draw is no unit vector.
        ValueError: There are too few dimensions or draws.

    NaN where the draws do not move. Reference: C. Geyer, Practical Markov chain Monte Carlo, 1992.

    >>> from manifoldflow.distributions import SphericalUniform
    >>> x = SphericalUniform(2).sample((4, 500))
    >>> bool(direction_ess(x) > 1000)
    True
    """
    return effective_size(_coordinates(_checked(draws))).amin(-1).to(draws.dtype)


def summarize_directions(draws: Tensor) -> DirectionSummary:
    r"""Spherical mean, mean resultant length and dispersion; those of the circle for n = 2.

    With :math:`\bar x` the average, :math:`R = \|\bar x\|` and :math:`\mu = \bar x / R`, the dispersion is
    :math:`(1 - \overline{(\mu \cdot x)^2}) / R^2`: about :math:`(n - 1) / \kappa` for concentrated draws.

    Args:
        draws: Unit vectors `(chains, draws, *batch, n)`.

    Raises:
        OffManifoldError: A draw is no unit vector.
        ValueError: There are too few dimensions or draws.

    Reference: N. Fisher, T. Lewis and B. Embleton, Statistical Analysis of Spherical Data, 1987, section 5.3.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).expand(1, 2, 2, 2).reshape(1, 4, 2)
    >>> summarize_directions(x).mean
    tensor([0.7071, 0.7071])
    """
    x = _pooled(_checked(draws))
    average = x.mean(-2)
    mean = Hypersphere(x.shape[-1] - 1).projection(average)
    resultant = average.norm(dim=-1)
    across = x - (x @ mean.unsqueeze(-1)) * mean.unsqueeze(-2)
    dispersion = across.square().sum(-1).mean(-1) / resultant.square()
    return DirectionSummary(*(a.to(draws.dtype) for a in (mean, resultant, dispersion)))


def credible_cap(draws: Tensor, share: float = 0.95) -> CredibleCap:
    """The least cap around the mean direction that holds a share of the draws.

    Args:
        draws: Unit vectors `(chains, draws, *batch, n)`.
        share: Share of the draws, above 0 and at most 1.

    Raises:
        OffManifoldError: A draw is no unit vector.
        ValueError: There are too few dimensions or draws, or the share is out of its range.

    >>> from manifoldflow.distributions import SphericalUniform
    >>> cap = credible_cap(SphericalUniform(2).sample((4, 500)), 1.0)
    >>> bool(cap.angle > 3)
    True
    """
    share = check_number("share", share, most=1.0, positive=True)
    x = _pooled(_checked(draws))
    space = Hypersphere(x.shape[-1] - 1)
    centre = space.projection(x.mean(-2))
    angles = space.metric.dist(x, centre.unsqueeze(-2).expand_as(x))
    edge = angles.kthvalue(math.ceil(share * x.shape[-2]), dim=-1).values
    return CredibleCap(centre.to(draws.dtype), edge.to(draws.dtype))


def in_highest_density(
    points: Tensor, draws: Tensor, log_density: Callable[[Tensor], Tensor], share: float = 0.95
) -> Tensor:
    """Whether points lie in the region of highest density that holds a share of the draws: a mask `(*batch,)`.

    Args:
        points: Points `(*batch, n)`.
        draws: Draws `(chains, draws, n)`.
        log_density: Log density up to a constant, of points `(*batch, n)`.
        share: Share of the draws, above 0 and at most 1.

    Raises:
        OffManifoldError: A point or draw is no unit vector.
        ValueError: The draws are not of three dimensions or too few, or the share is out of its range.

    Reference: R. Hyndman, Computing and Graphing Highest Density Regions, 1996, section 3.2.

    >>> from manifoldflow.distributions import VonMisesFisher
    >>> law = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 10.0)
    >>> in_highest_density(torch.eye(3), law.sample((4, 500)), law.log_prob)
    tensor([False, False,  True])
    """
    share = check_number("share", share, most=1.0, positive=True)
    _checked(draws)
    if draws.ndim != 3:
        raise ValueError(f"draws: expected shape (chains, draws, n), got {tuple(draws.shape)}; pass one site's draws")
    check_points(Hypersphere(draws.shape[-1] - 1), points=points)
    heights = log_density(draws.flatten(0, 1))
    return log_density(points) >= heights.kthvalue(len(heights) - math.ceil(share * len(heights)) + 1).values


def to_arviz(mcmc: Any) -> Any:
    """The draws of a Pyro `MCMC` that has run, as ArviZ's InferenceData, with the divergences of its chains.

    Raises:
        ImportError: ArviZ is not installed; the extra `arviz` has it.
    """
    try:
        import arviz
    except ImportError as error:
        raise ImportError('to_arviz needs arviz; install it with: pip install "manifoldflow[arviz]"') from error
    draws = {name: a.detach().cpu().numpy() for name, a in mcmc.get_samples(group_by_chain=True).items()}
    first = next(iter(draws.values()))
    diverging = torch.zeros(first.shape[:2], dtype=torch.bool)
    for chain, where in enumerate(mcmc.diagnostics().get("divergences", {}).values()):
        diverging[chain, list(where)] = True
    return arviz.from_dict(posterior=draws, sample_stats={"diverging": diverging.numpy()})


def _checked(draws: Tensor) -> Tensor:
    """The draws in double precision, where the statistics of narrow posteriors do not drown in rounding."""
    size = draws.shape[-1] if isinstance(draws, Tensor) and draws.ndim else 2
    check_points(Hypersphere(max(size, 2) - 1), draws=draws)
    if draws.ndim < 3 or draws.shape[0] < 1 or draws.shape[1] < 4:
        raise ValueError(
            f"draws: expected shape (chains, draws, *batch, n) with at least 4 draws, got {tuple(draws.shape)}; "
            "take them from get_samples(group_by_chain=True)"
        )
    x = draws.detach().double()
    return x / x.norm(dim=-1, keepdim=True)


def _pooled(draws: Tensor) -> Tensor:
    """`(*batch, chains * draws, n)`"""
    return draws.flatten(0, 1).movedim(0, -2)


def effective_size(x: Tensor) -> Tensor:
    """Effective sample size `(*batch,)` of numbers `(chains, draws, *batch)`, at most N log10 N of N draws.

    Of short chains that turn back and forth, the autocorrelations that are kept may sum to less than nothing: there the
    bound holds, as in Stan (A. Vehtari et al., Bayesian Analysis 16, 2021).
    """
    count = x.shape[0] * x.shape[1]
    return 1 / (1 / effective_sample_size(x)).clamp_min(1 / (count * math.log10(count)))


def _coordinates(draws: Tensor) -> Tensor:
    """Coordinates `(chains, draws, *batch, 2n - 1)`: those of the tangent space, then those of R^n."""
    space = Hypersphere(draws.shape[-1] - 1)
    mean = frechet_mean(space, _pooled(draws), starts=3, full_output=True).mean
    frame = torch.linalg.qr(mean.unsqueeze(-1), mode="complete").Q[..., 1:]
    logs = space.metric.log_and_cut(draws, mean.expand_as(draws))[0]
    return torch.cat([(logs.unsqueeze(-2) @ frame).squeeze(-2), draws], -1)
