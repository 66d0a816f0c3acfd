"""The wrapped normal: a Gaussian in a tangent space, laid onto the manifold by the exponential map."""

import math
from functools import partial
from typing import ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import Normal, constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..charts import Chart, SimplexChart
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, check_points, is_eager
from ..manifolds.torus import wrap
from ._wrapped_fit import fit_wrapped
from ._wrapping import log_normal, log_wrapped, polar_rule
from .base import BaseDistribution, Parameter
from .constraints import OnSpace, beside_loc, check_floating, finite_positive, last_size
from .fitting import weighted
from .laws import Law, Statistic, law_of
from .lifts import Lift, LogRatios, Shifted
from .spherical.angle_laws import WrappedNormalAngle
from .spherical.polar import AroundMean, OnCircle

__all__ = ["WrappedNormal"]


class WrappedNormal(BaseDistribution):
    r"""Law of :math:`\exp_\mu(\sigma \epsilon)`, :math:`\epsilon` standard normal in the tangent space at :math:`\mu`.

    Args:
        space: A Euclidean space, a Hypersphere, a Torus, a Simplex with the Aitchison metric, or a Product of these.
        loc: :math:`\mu`, points of shape `(*batch, n)`.
        scale: :math:`\sigma > 0` in units of the metric, shape broadcastable to `batch`.

    The density is relative to the space's reference measure (surface area; Lebesgue measure on the first d
    coordinates of a simplex). On S^d it is the sum over all tangent vectors that the exponential map takes to
    s, at the distances :math:`r = \theta + 2 \pi k` and :math:`2 \pi (k + 1) - \theta`,

    .. math:: p(s) = \sum_r (2 \pi \sigma^2)^{-d/2} e^{-r^2 / 2 \sigma^2} \Big|\frac{r}{\sin\theta}\Big|^{d-1}.

    For d > 1 all but the first term are infinite at :math:`\mu` itself (whole great spheres are taken there);
    within the rounding error of :math:`\mu` the first term alone is returned, so that log_prob and its gradient are
    finite at the mode. At the antipode the density is infinite.

    Raises:
        ValueError: The space's exponential map leaves it or has no closed volume (a simplex with another
            metric), `loc` is off the space, `scale` is not positive and finite, or shapes do not broadcast.

    Reference: Y. Nagano et al., ICML 2019 (arXiv 1902.02992), for the hyperbolic case without preimages; E. Chevallier
    et al., arXiv 2004.03194, for the volume of the exponential map on spheres.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "loc": constraints.dependent(event_dim=1),
        "scale": finite_positive,
    }
    has_rsample = True
    loc = Parameter(event_dim=1)
    scale = Parameter(like="loc")

    def __init__(
        self, space: Manifold, loc: Tensor, scale: Tensor | float, *, validate_args: bool | None = None
    ) -> None:
        _check_space(space)
        check_floating("loc", loc)
        if loc.dim() < 1 or loc.shape[-1] != space.shape[0]:
            raise ValueError(f"loc: expected shape (*batch, {space.shape[0]}) on {space}, got {tuple(loc.shape)}")
        scale, batch_shape = beside_loc("scale", scale, loc, keep=True)
        self.space = space
        self.loc, self.scale = loc, scale
        super().__init__(batch_shape, Size((last_size(loc),)), validate_args=validate_args)
        if self._validate_args:
            check_points(space, loc=loc)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        return OnSpace(self.space)

    @property
    def manifold(self) -> Manifold:
        return self.space

    @property
    def mode(self) -> Tensor:
        """The mean of the tangent law, `loc`, except on simplices, where Lebesgue measure moves the mode."""
        self._only("mode", Euclidean, Hypersphere, Torus)
        return self.loc

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, shape `(*batch, n)`; on spheres by quadrature."""
        if self._only("mean", Euclidean, Hypersphere) is Euclidean:
            return self.loc
        theta, mass, _ = polar_rule(self.scale.double(), self.space.dim)
        return (mass * theta.cos()).sum(-1, keepdim=True).to(self.loc.dtype) * self.loc

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the coordinates, shape `(*batch, n, n)`; on spheres by quadrature."""
        n, scale = self.event_shape[-1], self.scale.double()[..., None, None]
        identity = torch.eye(n, dtype=scale.dtype, device=scale.device)
        if self._only("covariance_matrix", Euclidean, Hypersphere) is Euclidean:
            return (scale.square() * identity).to(self.loc.dtype)
        theta, mass, _ = polar_rule(scale[..., 0, 0], self.space.dim)
        across = (mass * theta.sin().square()).sum(-1)[..., None, None] / self.space.dim
        along = (mass * (2 * torch.sin(0.5 * theta).square()).square()).sum(-1)
        along = (along - (mass * 2 * torch.sin(0.5 * theta).square()).sum(-1).square())[..., None, None]
        loc = self.loc.double()
        return (across * identity + (along - across) * loc[..., :, None] * loc[..., None, :]).to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """The diagonal of `covariance_matrix`, shape `(*batch, n)`."""
        return self.covariance_matrix.diagonal(dim1=-2, dim2=-1)

    def entropy(self) -> Tensor:
        """Differential entropy in nats; on spheres by quadrature."""
        if self._only("entropy", Euclidean, Hypersphere) is Euclidean:
            half = 0.5 * math.log(2 * math.pi * math.e)
            return self.space.dim * (self.scale.log() + half)
        _, mass, log_density = polar_rule(self.scale.double(), self.space.dim)
        return -(mass * log_density).sum(-1).to(self.loc.dtype)

    def _only(self, name: str, *kinds: type) -> type:
        """The kind of the space, of those for which there is a formula."""
        for kind in kinds:
            if isinstance(self.space, kind):
                return kind
        raise NotImplementedError(f"{name}: there is no closed form on {self.space!r}; estimate it from draws")

    def log_prob(self, value: Tensor) -> Tensor:
        value = self._checked(value)
        return _log_prob(self.space, value, self.loc, self.scale)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return _wrap(self.space, self.loc.expand(shape), self.scale.expand(shape[:-1]), noise)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None, *, space: Manifold | None = None) -> Self:
        """The likeliest distribution of points `(*batch, m, n)`, one for each batch.

        On circles and in flat spaces mean and scale have the greatest likelihood. On spheres of more dimensions, where
        the density is infinite at `loc` and the likelihood has no maximum, `loc` is the Frechet mean, and the scale the
        likeliest one beside it.

        Args:
            points: Points of the space.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.
            space: As in the constructor; the sphere of n - 1 dimensions if not given.

        Raises:
            ValueError: The space has no wrapped normal, there are no points, all coincide, a weight is negative or all
                are zero.
            OffManifoldError: Points off the space.
        """
        x, w = weighted(points, weights, least=1)
        space = Hypersphere(x.shape[-1] - 1) if space is None else space
        _check_space(space)
        check_points(space, points=points)
        x = space.projection(x) if not isinstance(space, Euclidean) else x
        loc, scale = fit_wrapped(space, x, w, partial(_log_prob, space))
        return cls(space, loc.to(points.dtype), scale.to(points.dtype))

    def log_prob_in_chart(self, chart: Chart, z: Tensor) -> Tensor:
        if not (isinstance(self.space, Simplex) and isinstance(chart, SimplexChart)):
            return super().log_prob_in_chart(chart, z)
        # In log-coordinates, which do not vanish; the volumes of metric and chart leave a constant.
        ratio = chart.to_log(z.double()) - self.loc.double().log()
        square = (ratio - ratio.mean(-1, keepdim=True)).square().sum(-1)
        volume = chart.log_volume_offset - 0.5 * math.log(chart.ambient_dim)
        return (log_normal(square, self.scale.double(), self.space.dim) + volume).to(z.dtype)

    def rsample_in_chart(self, chart: Chart, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        if not (isinstance(self.space, Simplex) and isinstance(chart, SimplexChart)):
            return super().rsample_in_chart(chart, sample_shape)
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return chart.from_log((self.loc.log() + self.scale[..., None] * noise).log_softmax(-1))


def _check_space(space: Manifold) -> None:
    if isinstance(space, Product):
        for factor in space.factors:
            _check_space(factor)
    elif isinstance(space, Simplex) and space.metric_name != "aitchison":
        raise ValueError(
            f"space: expected a simplex with the Aitchison metric, got {space!r}: its exponential map leaves "
            "the simplex; use Simplex(dim, metric='aitchison')"
        )
    elif not isinstance(space, Euclidean | Hypersphere | Simplex | Torus):
        raise ValueError(
            f"space: expected Euclidean, Hypersphere, Torus, Simplex(metric='aitchison') or a Product of these, "
            f"got {space!r}"
        )


def _wrap(space: Manifold, loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """exp_loc(scale * noise), for standard normal noise in the ambient space, made tangent."""
    if isinstance(space, Product):
        blocks = zip(space.factors, space.weights, space.split(loc), space.split(noise))
        return space.join([_wrap(f, m, scale / math.sqrt(w), e) for f, w, m, e in blocks])
    if isinstance(space, Simplex):
        # log-ratio coordinates are orthonormal once centred, and softmax does not see the mean
        return (loc.log() + scale[..., None] * noise).softmax(-1)
    return space.metric.exp(scale[..., None] * space.to_tangent(noise, loc), loc)


def _log_prob(space: Manifold, value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    if isinstance(space, Product):
        blocks = zip(space.factors, space.weights, space.split(value), space.split(loc))
        return torch.stack(
            torch.broadcast_tensors(*[_log_prob(f, s, m, scale / math.sqrt(w)) for f, w, s, m in blocks])
        ).sum(0)
    if isinstance(space, Hypersphere):
        return _sphere_log_prob(space, value, loc, scale)
    if isinstance(space, Torus):
        return _torus_log_prob(value, loc, scale)
    square = space.metric.squared_dist(value, loc).double()
    return (log_normal(square, scale.double(), space.dim) + space.metric.log_volume_form(value)).to(value.dtype)


def _torus_log_prob(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The sum over the turns of each angle, float64: by turns where it is narrow, by Fourier series where wide."""
    difference, sigma = torch.broadcast_tensors(wrap(value.double() - loc.double()), scale.double()[..., None])
    least, largest = 0.0, math.inf
    if is_eager() and scale.numel():  # then what no scale needs is left out
        least, largest = (float(bound) for bound in scale.detach().double().aminmax())
    # At sigma = 2 both sums are short; each is differentiated where it converges.
    if largest < 2:
        total = _by_turns(difference, sigma, 1 if largest < 1 else 3)
    elif least >= 2:
        total = _by_waves(difference, sigma)
    else:
        narrow = sigma < 2
        by_turns = _by_turns(difference, torch.where(narrow, sigma, 1.0), 3)
        total = torch.where(narrow, by_turns, _by_waves(difference, torch.where(narrow, 3.0, sigma)))
    return total.sum(-1).to(value.dtype)


def _by_turns(difference: Tensor, sigma: Tensor, turns: int) -> Tensor:
    """Of angles in [-pi, pi]; the turns beyond these are below the last bit up to sigma = 1 (one) and 2 (three)."""
    rate = 2 * math.pi / sigma.square()
    further = torch.zeros_like(rate)
    for k in range(1, turns + 1):  # each beside the term of the angle itself: no exponent is positive
        mean, tilt = -rate * (math.pi * k * k), rate * (k * difference)
        further = further + (mean + tilt).exp() + (mean - tilt).exp()
    return log_normal(difference.square(), sigma, 1) + further.log1p()


def _by_waves(difference: Tensor, sigma: Tensor) -> Tensor:
    k = torch.arange(1.0, 6.0, dtype=sigma.dtype, device=sigma.device)
    waves = ((-0.5 * (k * sigma[..., None]).square()).exp() * (k * difference[..., None]).cos()).sum(-1)
    return torch.log1p(2 * waves) - math.log(2 * math.pi)


def _sphere_log_prob(space: Hypersphere, value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """In float64, from the angle to the mean."""
    square = space.metric.squared_dist(value, loc).double()
    near = square < (4 * torch.finfo(value.dtype).eps) ** 2
    return log_wrapped(square, near, scale.double(), space.dim).to(value.dtype)


_MOST_TURNS = 64


@law_of.register
def _(base: WrappedNormal) -> Law:
    flat = isinstance(base.space, Euclidean)
    return Law.of(
        base,
        "wrapped normal",
        lift=_lift(base),
        statistic=Statistic("distance to the mean", lambda x: base.space.metric.dist(x, base.loc)),
        coordinates=Normal(base.loc, base.scale[..., None], validate_args=False) if flat else None,
    )


def _lift(base: WrappedNormal) -> Lift | None:
    """In flat space a Gaussian, on the simplex one in log-ratios, on the sphere the angle to the mean."""
    if isinstance(base.space, Euclidean):
        return Shifted(base.loc)
    if isinstance(base.space, Simplex):
        return LogRatios(base.loc)
    if not isinstance(base.space, Hypersphere):
        return None
    n = base.event_shape[-1]
    if is_eager() and bool((base.scale * (math.sqrt(n - 2) + 9) > 2 * math.pi * _MOST_TURNS).any()):
        return None  # it would take too many terms
    kind = OnCircle if n == 2 else AroundMean
    return kind(base.loc, base.scale, partial(WrappedNormalAngle, n=n))
