"""The angular central Gaussian distribution: the direction of a Gaussian vector."""

from typing import Any, ClassVar, Self

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions import constraints, register_kl
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...manifolds import Hypersphere
from ...special import log_sphere_area
from ..base import BaseDistribution
from ..constraints import check_floating, joint_batch
from ..laws import Law, law_of
from .polar import Direction
from .scatter import unit_points
from .spherical_uniform import SphericalUniform

__all__ = ["AngularCentralGaussian"]

_MOST_STEPS = 10_000


class AngularCentralGaussian(BaseDistribution):
    r"""Law of x / |x| for :math:`x \sim N(0, \Lambda)` in R^n, n >= 2: a law of axes, with heavy tails.

    .. math:: p(s) = |\Lambda|^{-1/2} (s^\top \Lambda^{-1} s)^{-n/2} / \mathrm{area}(S^{n-1})

    with respect to surface area. :math:`c \Lambda` is the same law for every number c > 0.

    Args:
        covariance: :math:`\Lambda`, positive definite matrices of shape `(*batch, n, n)`.
        validate_args: As in torch: whether parameters and samples are checked.

    Results have the dtype and device of `covariance`; the arithmetic is float64.

    Raises:
        ValueError: n < 2, or `covariance` is not positive definite.

    >>> law = AngularCentralGaussian(torch.diag(torch.tensor([4.0, 1.0, 1.0])))
    >>> law.log_prob(torch.tensor([1.0, 0.0, 0.0]))
    tensor(-1.1447)

    Reference: D. E. Tyler, Biometrika 74 (1987).
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"covariance": constraints.positive_definite}
    support = sphere
    has_rsample = True

    def __init__(self, covariance: Tensor, *, validate_args: bool | None = None) -> None:
        check_floating("covariance", covariance)
        if covariance.dim() < 2 or covariance.shape[-1] != covariance.shape[-2] or covariance.shape[-1] < 2:
            raise ValueError(f"covariance: expected shape (*batch, n, n) with n >= 2, got {tuple(covariance.shape)}")
        self.covariance = covariance
        super().__init__(covariance.shape[:-2], covariance.shape[-1:], validate_args=validate_args)

    def __repr__(self) -> str:
        return f"AngularCentralGaussian(batch={tuple(self.batch_shape)}, event={tuple(self.event_shape)})"

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        new = self._get_checked_instance(type(self), _instance)
        batch_shape = Size(batch_shape)
        new.covariance = self.covariance.expand(batch_shape + self.covariance.shape[-2:])
        super(AngularCentralGaussian, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def ambient_dim(self) -> int:
        """n, the number of coordinates."""
        return self.event_shape[-1]

    @property
    def manifold(self) -> Manifold:
        return Hypersphere(self.ambient_dim - 1)

    @property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor L of the covariance: a draw is Lg / |Lg| with g standard normal, float64."""
        return torch.linalg.cholesky(self.covariance.double())

    def to_normal(self, value: Tensor) -> Tensor:
        """The uniform direction L^-1 s / |L^-1 s| of points `(*batch, n)`; the inverse of `from_normal`."""
        return self._normalised(_solve(self.scale_tril, value.double()))

    def from_normal(self, value: Tensor) -> Tensor:
        """The point Lg / |Lg| of vectors g `(*batch, n)` of any length but 0."""
        factor, x = self.scale_tril, value.double()
        return self._normalised(x @ factor.mT if factor.dim() == 2 else (factor @ x[..., None])[..., 0])

    def _normalised(self, x: Tensor) -> Tensor:
        return (x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)).to(self.covariance.dtype)

    @property
    def log_normalizer(self) -> Tensor:
        """The log of the factor in front, -log|covariance| / 2 - log area, shape `batch`."""
        return self._log_normalizer64(self.scale_tril).to(self.covariance.dtype)

    def _log_normalizer64(self, factor: Tensor) -> Tensor:
        return -factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) - log_sphere_area(self.ambient_dim)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area."""
        if self._validate_args:
            self._validate_sample(value)
        factor = self.scale_tril
        length = torch.linalg.vector_norm(_solve(factor, value.double()), dim=-1)
        return (self._log_normalizer64(factor) - self.ambient_dim * length.log()).to(value.dtype)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in the covariance."""
        shape = self._extended_shape(sample_shape)
        return self.from_normal(torch.randn(shape, dtype=torch.float64, device=self.covariance.device))

    @property
    def mode(self) -> Tensor:
        """The leading axis, shape `(*batch, n)`."""
        return torch.linalg.eigh(self.covariance.double())[1][..., -1].to(self.covariance.dtype)

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, 0: opposite points are equally likely."""
        return self.covariance.new_zeros(self.batch_shape + self.event_shape)

    @property
    def covariance_matrix(self) -> Tensor:
        """E[ss'], of trace 1, shape `(*batch, n, n)`; not to be confused with the parameter `covariance`."""
        values, vectors = torch.linalg.eigh(self.covariance.double())
        moments = _mean_shares(values)
        return ((vectors * moments.unsqueeze(-2)) @ vectors.mT).to(self.covariance.dtype)

    second_moment = covariance_matrix

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate, shape `(*batch, n)`."""
        return self.covariance_matrix.diagonal(dim1=-2, dim2=-1)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        return self._entropy64().to(self.covariance.dtype)

    def _entropy64(self) -> Tensor:
        # s' Lambda^-1 s = |g|^2 / |Lg|^2 for a standard normal g
        values = torch.linalg.eigvalsh(self.covariance.double())
        ratio = _mean_log_form(torch.ones_like(values)) - _mean_log_form(values)
        return 0.5 * values.log().sum(-1) + log_sphere_area(self.ambient_dim) + 0.5 * self.ambient_dim * ratio

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch; its trace is n.

        Tyler's fixed point: the covariance is n times the weighted mean of xx' / x' covariance^-1 x.

        Args:
            points: Points on the sphere, of either sign.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: Points are missing or not of unit norm, a weight is negative or all are zero, or so many points
                share a subspace that the likelihood has no maximum (a share of k/n or more in k dimensions).
        """
        x, w = unit_points(points, weights)
        n = x.shape[-1]
        if not bool((torch.linalg.matrix_rank((w > 0).to(x)[..., None] * x) == n).all()):
            raise ValueError(
                f"points: expected points that span R^{n}, got fewer independent ones, where the likelihood has no "
                "maximum; add points"
            )
        covariance = torch.eye(n, dtype=x.dtype, device=x.device).expand(*x.shape[:-2], n, n)
        for _ in range(_MOST_STEPS):
            factor, info = torch.linalg.cholesky_ex(covariance)
            if bool((info > 0).any()):
                break
            # In coordinates where the present covariance is I, the step says how far from it the next one is.
            y = torch.linalg.solve_triangular(factor, x.mT, upper=False)
            step = (y * (w / y.square().sum(-2)).unsqueeze(-2)) @ y.mT * n
            covariance = factor @ step @ factor.mT
            covariance = 0.5 * (covariance + covariance.mT)
            covariance = covariance * (n / covariance.diagonal(dim1=-2, dim2=-1).sum(-1))[..., None, None]
            off = (step - torch.eye(n, dtype=x.dtype, device=x.device)).abs()
            if off.numel() == 0 or float(off.amax()) <= 1e-13 * n:
                return cls(covariance.to(points.dtype))
        raise ValueError(
            "points: expected points in general position, got too many in one subspace (a share of k/n or more in k "
            "dimensions), where the likelihood has no maximum; add points or remove repeated ones"
        )


def _solve(factor: Tensor, x: Tensor) -> Tensor:
    """L^-1 x for vectors `(*batch, n)`; all at once where the factor is one for all."""
    if factor.dim() == 2 and x.dim() > 1:
        return torch.linalg.solve_triangular(factor.mT, x, upper=True, left=False)
    return torch.linalg.solve_triangular(factor, x[..., None], upper=False)[..., 0]


def _nodes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes t on (0, inf) and weights of dt / t: equal steps of log t, which converge exponentially."""
    v = torch.linspace(-90.0, 90.0, 721, dtype=like.dtype, device=like.device)
    return v.exp(), (v[1] - v[0]).expand_as(v)


def _mean_log_form(values: Tensor) -> Tensor:
    r"""E[log sum of lambda_i g_i^2], shape `batch`, for standard normal g.

    .. math:: E[\log Q] = \int_0^\infty [e^{-t} - E e^{-tQ}] dt / t, \quad E e^{-tQ} = \prod (1 + 2 \lambda_i t)^{-1/2}.
    """
    size = values.mean(-1, keepdim=True)
    t, weight = _nodes(values)
    relative = (values / size).unsqueeze(-1)
    transform = -0.5 * torch.log1p(2 * relative * t).sum(-2)
    # expm1 on both: where t is small, they differ by less than either differs from 1
    return size[..., 0].log() + ((torch.expm1(-t) - torch.expm1(transform)) * weight).sum(-1)


def _mean_shares(values: Tensor) -> Tensor:
    """E[lambda_i g_i^2 / sum lambda_j g_j^2] `(*batch, n)`: the integral of lambda_i / (1 + 2 lambda_i t) E e^(-tQ)."""
    size = values.amax(-1, keepdim=True)
    t, weight = _nodes(values)
    relative = (values / size).unsqueeze(-1)
    transform = (-0.5 * torch.log1p(2 * relative * t).sum(-2)).exp()
    share = (relative * t / (1 + 2 * relative * t) * (transform * weight).unsqueeze(-2)).sum(-1)
    return share / share.sum(-1, keepdim=True)


@register_kl(AngularCentralGaussian, AngularCentralGaussian)
def _acg_acg(p: AngularCentralGaussian, q: AngularCentralGaussian) -> Tensor:
    """In coordinates where q is uniform; the forms are those of |L_p g|^2 and |L_q^-1 L_p g|^2."""
    batch = joint_batch(p, q)
    factor = torch.linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    turned = torch.linalg.svdvals(factor).square()
    half = 0.5 * p.ambient_dim
    value = half * (_mean_log_form(turned) - _mean_log_form(torch.ones_like(turned))) - 0.5 * turned.log().sum(-1)
    return value.clamp(min=0).to(p.covariance.dtype).expand(batch)


@register_kl(AngularCentralGaussian, SphericalUniform)
def _acg_uniform(p: AngularCentralGaussian, q: SphericalUniform) -> Tensor:
    batch = joint_batch(p, q)
    return (log_sphere_area(p.ambient_dim) - p._entropy64()).to(p.covariance.dtype).expand(batch)


@law_of.register
def _(base: AngularCentralGaussian) -> Law:
    return Law.of(base, "angular central Gaussian", lift=Direction(base.event_shape[-1], base.scale_tril))
