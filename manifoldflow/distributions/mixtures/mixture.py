"""Mixtures as distributions, and `fit_mixture`."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro.distributions import Categorical, MixtureSameFamily
from torch import Size, Tensor

from ..._geomstats import Manifold
from ...charts import Chart, default_chart
from ...checks import check_choice, check_integer, check_number, check_tensors
from ..base import BaseDistribution, draw_components
from ..fitting import weighted
from . import other_families, sphere_families  # noqa: F401 (they enter their families)
from .em import Fitted, Points, run, start_laws
from .families import Family, family_of

__all__ = ["Fitting", "Mixture", "fit_mixture"]

_BLOCK = 1 << 20
_AT_BOUND = (
    "a component met the bound on the concentration, most={:g}: points that are copies of each other, or too few for a "
    "component, make the likelihood grow without bound; use fewer components or a lower bound"
)


class Fitting(NamedTuple):
    """How a fit went.

    Attributes:
        log_likelihood: The mean log density of the points, weighted.
        iterations: How many the chosen start took.
        converged: Whether its gain fell below the tolerance.
        at_bound: Whether a component met the bound on the concentration.
        parameters: Number of free parameters.
    """

    log_likelihood: float
    iterations: int
    converged: bool
    at_bound: bool
    parameters: int


class Mixture(MixtureSameFamily):
    """A `MixtureSameFamily` of laws on a manifold, as `fit_mixture` returns it.

    Log densities are matrix products, in blocks, instead of differences of every point and component.

    Args:
        mixture_distribution: A Categorical of batch shape ().
        component_distribution: Laws of batch shape `(components,)`, of one of the kinds that `fit_mixture` takes.

    >>> law = VonMisesFisher(torch.eye(3), 50.0)
    >>> mixture = Mixture(torch.distributions.Categorical(torch.ones(3)), law)
    >>> mixture.responsibilities(torch.tensor([0.0, 1.0, 0.0]))
    tensor([1.9287e-22, 1.0000e+00, 1.9287e-22])
    """

    fitting: Fitting | None = None

    @property
    def manifold(self) -> Manifold:
        """The space that the points lie on."""
        return self.component_distribution.manifold

    def default_chart(self) -> Chart:
        """The chart of the manifold that flows use unless told otherwise."""
        return default_chart(self.manifold)

    check_chart = BaseDistribution.check_chart
    log_prob_in_chart = BaseDistribution.log_prob_in_chart

    def rsample_in_chart(self, chart: Chart, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Chart coordinates of draws, of shape `(*sample_shape, d)`, without gradients."""
        return chart.inv(self.sample(sample_shape))

    @property
    def weights(self) -> Tensor:
        """The components' shares, shape `(components,)`."""
        return self.mixture_distribution.probs

    @property
    def _family(self) -> Family:
        law = self.component_distribution
        return family_of(type(law), space=getattr(law, "space", None))

    def _joint(self, rows: Tensor) -> Tensor:
        """Log of weight times density, `(m, components)`, float64."""
        family, law = self._family, self.component_distribution
        double = family.take(law, (None,), torch.float64)
        logits = self.mixture_distribution.logits.double()
        size = max(1, _BLOCK // max(rows.shape[-1], len(logits)))
        blocks = [family.log_density(double, family.features(b.double()))[:, 0] for b in rows.split(size)]
        return torch.cat(blocks) + logits

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at points `(*batch, n)`, with respect to the components' measure."""
        if self._validate_args and x.numel():  # torch's check of joint constraints fails on no points
            self._validate_sample(x)
        if self.batch_shape:
            return super().log_prob(x)
        return self._joint(x.reshape(-1, x.shape[-1])).logsumexp(-1).reshape(x.shape[:-1]).to(x.dtype)

    def responsibilities(self, x: Tensor) -> Tensor:
        """The probabilities `(*batch, components)` that points `(*batch, n)` are of each component."""
        joint = self._joint(x.reshape(-1, x.shape[-1])).softmax(-1)
        return joint.reshape(*x.shape[:-1], joint.shape[-1]).to(x.dtype)

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws: a component by its weight, then one from its law."""
        if self.batch_shape:
            return super().sample(sample_shape)
        shape = Size(sample_shape)
        with torch.no_grad():
            return self.sample_from(draw_components(self.mixture_distribution.probs, shape))

    def sample_from(self, components: Tensor) -> Tensor:
        """One draw `(*shape, n)` from each of the components numbered in a tensor of any shape."""
        with torch.no_grad():
            # The laws differ from row to row: the shape of the draws is the batch shape.
            return self._family.take(self.component_distribution, components, self.weights.dtype).sample()

    def bic(self, points: Tensor, weights: Tensor | None = None) -> float:
        """The Bayesian information criterion at points `(m, n)`, smaller is better; weights count as repeats."""
        total = len(points) if weights is None else float(weights.double().sum())
        return self._parameters() * math.log(total) - 2 * self._log_likelihood(points, weights)

    def aic(self, points: Tensor, weights: Tensor | None = None) -> float:
        """Akaike's information criterion at points `(m, n)`, smaller is better; weights count as repeats."""
        return 2 * self._parameters() - 2 * self._log_likelihood(points, weights)

    def _parameters(self) -> int:
        if self.fitting is not None:
            return self.fitting.parameters
        components = len(self.weights)
        return components - 1 + self._family.parameters(components, self.event_shape[-1])

    def _log_likelihood(self, points: Tensor, weights: Tensor | None) -> float:
        logs = self.log_prob(points).double()
        return float(logs.sum() if weights is None else (weights.double() * logs).sum())


def fit_mixture(
    kind: type,
    points: Tensor,
    components: int,
    *,
    weights: Tensor | None = None,
    space: Manifold | None = None,
    starts: int = 5,
    start_from: MixtureSameFamily | None = None,
    iterations: int = 300,
    tolerance: float = 1e-7,
    concentration: str = "free",
    most: float = 1e6,
    report: Callable[[int, Tensor], None] | None = None,
) -> Mixture:
    r"""A mixture of laws of one kind, by expectation and maximisation from several starts at once.

    Args:
        kind: `VonMisesFisher`, `Watson`, `AngularCentralGaussian`, `Dirichlet` or `WrappedNormal`.
        points: Shape `(m, n)`, on the laws' space.
        components: How many, at most m.
        weights: Nonnegative, shape `(m,)`; a weight of 2 counts twice.
        space: Where the points live; wrapped normals need it, the others know.
        starts: How many k-means++ starts, with the distances of the space, run side by side; the most probable that
            does not meet the bound wins.
        start_from: A mixture of the same kind to go on from, instead of starts.
        iterations: At most so many.
        tolerance: Relative gain in mean log density below which a start has converged.
        concentration: "free", or "tied": one for all components (von Mises-Fisher and Watson).
        most: Bound on the concentration (Dirichlet: its sum; angular central Gaussian: ratio of the eigenvalues;
            wrapped normal: :math:`1 / \sigma^2`). Where points are copies of each other the likelihood grows without
            bound; a warning says when a component meets it.
        report: Called with the iteration and the starts' mean log densities.

    The points are read twice in each iteration, in blocks: memory is that of the points and of one number for each
    point and start. Components that die out are seeded anew at the least probable points.

    Returns:
        A `Mixture` in the dtype of the points; `fitting` says how it went.

    Raises:
        ValueError: Points off the space, more components than points, weights that are negative or all zero.

    >>> points = VonMisesFisher(torch.eye(3), 50.0).sample((100,)).flatten(0, 1)
    >>> fit_mixture(VonMisesFisher, points, 3).weights
    tensor([0.3333, 0.3333, 0.3333])

    Reference: A. Banerjee et al., JMLR 6, 2005; D. Arthur and S. Vassilvitskii, SODA 2007, for the starts.
    """
    tied = check_choice("concentration", concentration, ["free", "tied"]) == "tied"
    _check_numbers(_count(points), components, starts, iterations, tolerance, most)
    family = family_of(kind, most=most, tied=tied, space=space)
    family.check(points)
    with torch.no_grad():
        data = Points(points.detach(), weighted(points[:, :2], weights)[1])
        first = start_laws(family, data, components, starts) if start_from is None else _from(family, start_from)
        mixture = _best(family, run(family, data, *first, iterations, tolerance, report), points.dtype, components)
    if mixture.fitting is not None and mixture.fitting.at_bound:
        warnings.warn(_AT_BOUND.format(most), stacklevel=2)
    return mixture


def _count(points: Tensor) -> int:
    check_tensors({"points": points}, (None,))
    if points.dim() != 2:
        raise ValueError(f"points: expected shape (m, n), got {tuple(points.shape)}")
    return len(points)


def _check_numbers(points: int, components: int, starts: int, iterations: int, tolerance: float, most: float) -> None:
    check_integer("components", components, 1, points)
    check_integer("starts", starts)
    check_integer("iterations", iterations)
    check_number("tolerance", tolerance, 0)
    check_number("most", most, positive=True)


def _from(family: Family, mixture: MixtureSameFamily) -> tuple[Any, Tensor]:
    law = mixture.component_distribution
    if type(law) is not family.kind:
        raise ValueError(f"start_from: expected a mixture of {family.kind.__name__}, got one of {type(law).__name__}")
    return family.take(law, (None,), torch.float64), mixture.mixture_distribution.logits.double()[None]


def _best(family: Family, fitted: Fitted, dtype: torch.dtype, components: int) -> Mixture:
    bounded = family.at_bound(fitted.laws).any(-1)
    order = torch.where(bounded, -math.inf, fitted.log_likelihood)
    best = int((fitted.log_likelihood if bool(bounded.all()) else order).argmax())
    law = family.take(fitted.laws, best, dtype)
    mixture = Mixture(Categorical(logits=fitted.logits[best].to(dtype)), law, validate_args=None)
    n = law.event_shape[-1]
    mixture.fitting = Fitting(
        float(fitted.log_likelihood[best]),
        int(fitted.iterations[best]),
        bool(fitted.converged[best]),
        bool(bounded[best]),
        components - 1 + family.parameters(components, n),
    )
    return mixture
