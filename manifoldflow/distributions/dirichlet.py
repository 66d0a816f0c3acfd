"""The Dirichlet distribution in log space: no coordinate is too small for it."""

from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import Dirichlet as TorchDirichlet
from torch.distributions import Gamma, constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..charts import Chart, SimplexChart, SimplexConstraint
from ..manifolds import Simplex, is_eager
from ._dirichlet import entropy, fit, log_density, log_density_log
from .base import BaseDistribution, Parameter
from .constraints import check_vector, finite_positive_vector, last_size
from .fitting import refuse_coinciding, weighted, weighted_mean
from .laws import Law, LogDensityLaw, constant_log_density, law_of, sampled_log_density
from .lifts import Gammas

__all__ = ["Dirichlet"]


class Dirichlet(BaseDistribution):
    r"""Dirichlet distribution on the simplex with D = d + 1 coordinates.

    .. math:: p(s) = \frac{1}{B(a)} \prod_{k=1}^D s_k^{a_k - 1}, \quad
              \log B(a) = \sum_k \log\Gamma(a_k) - \log\Gamma\Big(\sum_k a_k\Big),

    with respect to Lebesgue measure on the first d coordinates (torch's convention). Coordinates with small
    concentrations are often below the smallest float: `log_prob_log` and `rsample_log` work with log s,
    and so does the density in a chart of the simplex. `sample` and `rsample` exponentiate.

    Args:
        concentration: a > 0, shape `(*batch, D)`, D >= 2.

    Results have the dtype and device of `concentration`; sums and normalisers are float64 inside.

    Raises:
        ValueError: D < 2, or a concentration is not a positive finite floating-point number.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"concentration": finite_positive_vector}
    has_rsample = True
    concentration = Parameter(event_dim=1)

    def __init__(self, concentration: Tensor, *, validate_args: bool | None = None) -> None:
        check_vector("concentration", concentration, least=2, size="D")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], Size((last_size(concentration),)), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> SimplexConstraint:
        return SimplexConstraint(self.event_shape[-1] - 1)

    @property
    def manifold(self) -> Manifold:
        return Simplex(self.event_shape[-1] - 1)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        mean = self.concentration / total
        return mean * (1 - mean) / (total + 1)

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the coordinates, shape `(*batch, D, D)`."""
        mean = self.mean
        outer = mean[..., :, None] * mean[..., None, :]
        return (torch.diag_embed(mean) - outer) / (self.concentration.sum(-1) + 1)[..., None, None]

    @property
    def mode(self) -> Tensor:
        """Where the density is greatest: a corner or a face where concentrations are below 1, as torch's Dirichlet."""
        above = (self.concentration - 1).clamp(min=0)
        total = above.sum(-1, keepdim=True)
        corner = torch.nn.functional.one_hot(self.concentration.argmax(-1), self.event_shape[-1]).to(above)
        flat = torch.where((self.concentration == 1).all(-1, keepdim=True), self.mean, corner)
        return torch.where(total > 0, above / total.clamp(min=torch.finfo(above.dtype).tiny), flat)

    @property
    def log_normalizer(self) -> Tensor:
        """-log B(a), shape `batch`."""
        a = self.concentration.double()
        return log_density_log(a, torch.zeros_like(a), power=0.0).to(self.concentration.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at points `(*batch, D)`; on the boundary it is infinite or that of the limit."""
        value = self._checked(value)
        single = value.dtype == torch.float32
        return log_density(self.concentration.double(), value.double(), single).to(value.dtype)

    def log_prob_log(self, log_value: Tensor) -> Tensor:
        """Log density at points given by their log-coordinates; the reference measure is that of `log_prob`."""
        log_value = self._as_value(log_value, "log_value")
        return log_density_log(self.concentration.double(), log_value.double()).to(log_value.dtype)

    def log_prob_in_chart(self, chart: Chart, z: Tensor) -> Tensor:
        if not isinstance(chart, SimplexChart):
            return super().log_prob_in_chart(chart, z)
        # The chart's log-volume is the sum of the log-coordinates plus a constant, and turns a - 1 into a.
        density = log_density_log(self.concentration.double(), chart.to_log(z.double()), power=0.0)
        return (density + chart.log_volume_offset).to(z.dtype)

    def rsample_log(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Log-coordinates of draws, differentiable in `concentration`."""
        a = self.concentration.double().expand(self._extended_shape(sample_shape))
        # Gamma(a) = Gamma(a + 1) U^(1/a) in law, and the logarithm of the right side never underflows.
        gamma = Gamma(a + 1, torch.ones_like(a.detach()), validate_args=False).rsample()
        noise = torch.rand_like(a.detach()).clamp(min=torch.finfo(a.dtype).tiny)
        log_gamma = gamma.log() + noise.log() / a
        return log_gamma.log_softmax(-1).to(self.concentration.dtype)

    def sample_log(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Log-coordinates of draws."""
        with torch.no_grad():
            return self.rsample_log(sample_shape)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        return self.rsample_log(sample_shape).exp()

    def rsample_in_chart(self, chart: Chart, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        if not isinstance(chart, SimplexChart):
            return super().rsample_in_chart(chart, sample_shape)
        return chart.from_log(self.rsample_log(sample_shape))

    def entropy(self) -> Tensor:
        """Differential entropy with respect to Lebesgue measure on the first d coordinates, in nats."""
        return entropy(self.concentration.double()).to(self.concentration.dtype)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of points `(*batch, m, D)` of the open simplex, one for each batch.

        Newton's method in mean and precision; also at precisions where the points differ in their last digits only.

        Args:
            points: Positive coordinates that sum to one.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: There are no points, they are off the simplex or have zeros, where the likelihood has no
                maximum, a weight is negative or all are zero, or all points coincide.

        >>> draws = Dirichlet(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).sample((1000,))
        >>> fitted = Dirichlet.fit(draws).concentration

        Reference: T. Minka, Estimating a Dirichlet distribution, 2000.
        """
        x, w = weighted(points, weights)
        if bool((points == 0).any()):
            raise ValueError(
                "points: expected positive coordinates, got zeros, where the likelihood has no maximum; call "
                "manifoldflow.manifolds.replace_zeros(points) first"
            )
        if not bool(SimplexConstraint(x.shape[-1] - 1).check(points).all()):
            raise ValueError(
                "points: expected positive coordinates with sum 1, got others; divide each point by its sum first"
            )
        x = x / x.sum(-1, keepdim=True)
        log_x = x.log()
        refuse_coinciding((w * (log_x - weighted_mean(log_x, w)[..., None, :]).square().sum(-1)).sum(-1), "points")
        return cls(fit(x, w).to(points.dtype))


@law_of.register(Dirichlet)
@law_of.register(TorchDirichlet)
def _(base: Any) -> Law:
    a = base.concentration
    rows = a.reshape(-1, a.shape[-1])
    # A batch of different concentrations would need a table of its own for every pair.
    one_row = len(rows) == 1 or (is_eager() and len(rows) > 1 and bool((rows == rows[0]).all()))
    uniform = is_eager() and bool((a == 1).all())
    return Law.of(
        base,
        "Dirichlet" if one_row else "a batch of different Dirichlet distributions",
        space=Simplex(a.shape[-1] - 1),
        lift=Gammas(rows[0]) if one_row else None,
        log_density=constant_log_density if uniform else partial(_log_density_law, base),
        is_uniform=uniform,
        variational=lambda place, spread: Dirichlet(0.05 + torch.nn.functional.softplus(place)),
        tempered=partial(_tempered, base),
    )


def _tempered(base: Any, temperature: float) -> Any:
    a = (base.concentration - 1) / temperature**2 + 1
    if is_eager() and not bool((a > 0).all()):
        least = float((1 - base.concentration.min()).sqrt())
        raise ValueError(
            f"temperature: expected more than {least:.4g}, below which the power 1 / T^2 of this Dirichlet's density "
            f"has no integral, got {temperature:g}"
        )
    return type(base)(a, validate_args=False)


def _log_density_law(base: Any, samples: int) -> LogDensityLaw:
    """Mean and deviation from the moments of log s; the tails from draws."""
    a = base.concentration.double()
    spread = ((a - 1).square() * torch.polygamma(1, a)).sum(-1)
    spread = spread - (a - 1).sum(-1).square() * torch.polygamma(1, a.sum(-1))
    sampled = sampled_log_density(base, samples)
    return sampled._replace(mean=-base.entropy().double(), deviation=spread.clamp_min(0).sqrt())
