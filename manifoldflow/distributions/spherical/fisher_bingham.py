"""The Fisher-Bingham distribution, on spheres of any dimension."""

from typing import Any, ClassVar, Self

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions import register_kl
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...manifolds import Hypersphere
from ...manifolds.rows import is_recorded
from ...special import fisher_bingham_log_partition, fisher_bingham_moments, log_sphere_area
from ..base import BaseDistribution, Parameter
from ..constraints import check_floating, finite_symmetric, finite_vector, joint_batch
from ..laws import Law, law_of
from .envelope import Envelope
from .exponential_fit import fit_fisher_bingham
from .scatter import unit_points
from .spherical_uniform import SphericalUniform

__all__ = ["FisherBingham"]

_NEWTON_STEPS = 60


class FisherBingham(BaseDistribution):
    r"""Fisher-Bingham distribution on the unit sphere of R^n, n >= 2: a Gaussian held to the sphere.

    .. math:: p(s) = e^{b \cdot s + s^\top A s} / C(b, A)

    with respect to surface area. :math:`A + cI` is the same law for every number c; von Mises-Fisher (A = 0), Bingham
    (b = 0), Watson and Kent are special cases. The normaliser is exact in every dimension (see `special`).

    Args:
        linear: b, shape `(*batch, n)`.
        quadratic: A, symmetric matrices of shape `(*batch, n, n)`; the two batch shapes broadcast.
        validate_args: As in torch: whether parameters and samples are checked.

    n to 2,000 and entries to 1e4, float32 and float64; results have the dtype and device of `linear`, the arithmetic is
    float64. `log_prob` is twice differentiable in both parameters.

    Raises:
        ValueError: n < 2, a parameter is not finite, `quadratic` is not symmetric, or shapes do not fit.

    >>> law = FisherBingham(torch.tensor([3.0, 0.0, 0.0]), torch.diag(torch.tensor([0.0, 1.0, -1.0])))
    >>> law.log_prob(torch.tensor([1.0, 0.0, 0.0]))
    tensor(-0.8099)

    Reference: K. V. Mardia and P. E. Jupp, Directional Statistics, 2000, section 9.3.3; draws: arXiv 1310.8110.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"linear": finite_vector, "quadratic": finite_symmetric}
    support = sphere

    linear = Parameter(event_dim=1)
    quadratic = Parameter(event_dim=2)

    def __init__(self, linear: Tensor, quadratic: Tensor, *, validate_args: bool | None = None) -> None:
        check_floating("linear", linear)
        if linear.dim() < 1 or linear.shape[-1] < 2:
            raise ValueError(f"linear: expected shape (*batch, n) with n >= 2, got {tuple(linear.shape)}")
        n = linear.shape[-1]
        quadratic = torch.as_tensor(quadratic, dtype=linear.dtype, device=linear.device)
        if quadratic.shape[-2:] != (n, n):
            raise ValueError(f"quadratic: expected shape (*batch, {n}, {n}), got {tuple(quadratic.shape)}")
        try:
            batch = torch.broadcast_shapes(linear.shape[:-1], quadratic.shape[:-2])
        except RuntimeError:
            raise ValueError(
                f"quadratic: expected a batch shape that broadcasts with {tuple(linear.shape[:-1])}, that of linear, "
                f"got {tuple(quadratic.shape[:-2])}"
            ) from None
        # A parameter that the whole batch shares is kept once: eigenvectors, normalisers and products cost less.
        self.linear, self.quadratic = linear, quadratic
        self._eigen_known: tuple[Tensor, Tensor] | None = None
        self._partition: list[tuple[int, int, Tensor]] = []
        super().__init__(batch, linear.shape[-1:], validate_args=validate_args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch={tuple(self.batch_shape)}, event={tuple(self.event_shape)})"

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        _ = self._eigen  # found once for both
        return super().expand(batch_shape, _instance)

    @property
    def _eigen(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues and eigenvectors of the quadratic part, float64, without gradient."""
        if self._eigen_known is None:
            a = self._quadratic.detach().double()
            self._eigen_known = torch.linalg.eigh(0.5 * (a + a.mT))
        return self._eigen_known

    @property
    def ambient_dim(self) -> int:
        """n, the number of coordinates."""
        return self.event_shape[-1]

    @property
    def manifold(self) -> Manifold:
        return Hypersphere(self.ambient_dim - 1)

    def _log_partition64(self) -> Tensor:
        """The normaliser, float64; kept where no derivative through the parameters can be asked for."""
        b, a = self._linear, self._quadratic
        if is_recorded(b, a) or b.is_inference() or a.is_inference() or torch.is_inference_mode_enabled():
            return fisher_bingham_log_partition(b.double(), a.double(), self._eigen)
        if not self._partition or self._partition[0][:2] != (b._version, a._version):
            value = fisher_bingham_log_partition(b.double(), a.double(), self._eigen)
            self._partition[:] = [(b._version, a._version, value)]
        return self._partition[0][2]

    def _moments64(self) -> tuple[Tensor, Tensor]:
        return fisher_bingham_moments(self._linear.double(), self._quadratic.double(), self._eigen)

    @property
    def log_normalizer(self) -> Tensor:
        """-log C(b, A), shape `batch`: log_prob is linear.s + s.quadratic.s + log_normalizer."""
        return -self._log_partition64().to(self.linear.dtype).expand(self.batch_shape)

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, inside the sphere, shape `(*batch, n)`."""
        return self._moments64()[0].to(self.linear.dtype).expand(self.batch_shape + self.event_shape)

    @property
    def second_moment(self) -> Tensor:
        """E[ss'], of trace 1, shape `(*batch, n, n)`."""
        return self._moments64()[1].to(self.linear.dtype).expand(self.quadratic.shape)

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the coordinates, shape `(*batch, n, n)`."""
        mean, second = self._moments64()
        return (second - mean[..., :, None] * mean[..., None, :]).to(self.linear.dtype).expand(self.quadratic.shape)

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate, shape `(*batch, n)`."""
        return self.covariance_matrix.diagonal(dim1=-2, dim2=-1)

    @property
    def mode(self) -> Tensor:
        """A point of highest density, shape `(*batch, n)`; where there are several, one of them.

        It is (mu I - A)^-1 b / 2 with the multiplier mu at least the largest eigenvalue of A, plus, where b has no part
        along it and that is too short, a piece of the leading eigenvector.
        """
        values, vectors = self._eigen
        b = self._linear.detach().double()
        c = 0.5 * (b.unsqueeze(-2) @ vectors).squeeze(-2)
        values, c = torch.broadcast_tensors(values, c)
        below = values.amax(-1, keepdim=True) - values
        # |x(mu)|^-1 is concave in mu: Newton's method rises from a lower bound to where it is 1.
        mu = (c.abs() - below).amax(-1, keepdim=True).clamp(min=0)
        safe = torch.finfo(mu.dtype).tiny
        for _ in range(_NEWTON_STEPS):
            gap = (mu + below).clamp(min=safe)
            square = (c / gap).square()
            size = square.sum(-1, keepdim=True).sqrt().clamp(min=safe)
            slope = (square / gap).sum(-1, keepdim=True) / size**3
            step = (1 - 1 / size) / slope.clamp(min=safe)
            mu = (mu + torch.where(size > 1, step, 0.0)).clamp(min=0)
        x = torch.where(c == 0, 0.0, c / (mu + below).clamp(min=safe))
        # Where mu is positive only rounding is missing, the root of which would be 1e-8.
        missing = torch.where(mu[..., 0] > 0, 0.0, (1 - x.square().sum(-1)).clamp(min=0).sqrt())
        x[..., -1] = torch.where(c[..., -1] < 0, x[..., -1] - missing, x[..., -1] + missing)
        x = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        mode = (vectors @ x.unsqueeze(-1)).squeeze(-1).to(self.linear.dtype)
        return mode.expand(self.batch_shape + self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area."""
        if self._validate_args:
            self._validate_sample(value)
        found = (self._exponent64(value) - self._log_partition64()).to(value.dtype)
        return found.expand(torch.broadcast_shapes(found.shape, self.batch_shape))

    def _exponent64(self, value: Tensor) -> Tensor:
        x, a = value.double(), self._quadratic.double()
        turned = x @ a if a.dim() == 2 else (x.unsqueeze(-2) @ a).squeeze(-2)
        return ((turned + self._linear.double()) * x).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        return self._entropy64().to(self.linear.dtype).expand(self.batch_shape)

    def _entropy64(self) -> Tensor:
        mean, second = self._moments64()
        spent = (self._linear.double() * mean).sum(-1) + (self._quadratic.double() * second).sum((-2, -1))
        return self._log_partition64() - spent

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws by rejection; not differentiable in the parameters."""
        shape = self._extended_shape(sample_shape)
        values, vectors = self._eigen
        with torch.no_grad():
            b = (self._linear.double().unsqueeze(-2) @ vectors).squeeze(-2)
            x = Envelope.of(values, b).sample(shape[:-1])
            x = x @ vectors.mT if vectors.dim() == 2 else (vectors @ x.unsqueeze(-1)).squeeze(-1)
        return x.to(self.linear.dtype)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch.

        The likelihood depends on E[s] and E[ss'] alone and is concave; Newton's method with the exact Hessian. The
        trace of the quadratic part, which is free, is set to 0. The time grows with n^6: for n up to about 50.

        Args:
            points: Points on the sphere.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: Points are missing or not of unit norm, a weight is negative or all are zero, or the points lie
                in one hyperplane, where the likelihood has no maximum.
        """
        x, w = unit_points(points, weights)
        mean = (w.unsqueeze(-1) * x).sum(-2)
        # A nonnegative quadratic on the sphere is a sum of squares of affine functions: a maximum is missing exactly
        # where one of these vanishes at all points.
        spread = torch.linalg.svdvals(w.sqrt().unsqueeze(-1) * (x - mean.unsqueeze(-2)))
        n = x.shape[-1]
        if x.shape[-2] <= n or not bool((spread[..., -1] > 16 * n * torch.finfo(x.dtype).eps).all()):
            raise ValueError(
                "points: expected points that are not all in one hyperplane, where the likelihood grows without bound; "
                "add points, or fit a smaller family"
            )
        linear, quadratic = fit_fisher_bingham(mean, (w.unsqueeze(-1) * x).mT @ x)
        return cls(linear.to(points.dtype), quadratic.to(points.dtype))


@law_of.register
def _(base: FisherBingham) -> Law:
    return Law.of(base, "Fisher-Bingham")


@register_kl(FisherBingham, FisherBingham)
def _same_family(p: FisherBingham, q: FisherBingham) -> Tensor:
    """Bregman divergence of the log partition."""
    batch = joint_batch(p, q)
    mean, second = p._moments64()
    spent = ((p._linear.double() - q._linear.double()) * mean).sum(-1)
    spent = spent + ((p._quadratic.double() - q._quadratic.double()) * second).sum((-2, -1))
    value = spent + q._log_partition64() - p._log_partition64()
    return value.clamp(min=0).to(p.linear.dtype).expand(batch)


@register_kl(FisherBingham, SphericalUniform)
def _to_uniform(p: FisherBingham, q: SphericalUniform) -> Tensor:
    batch = joint_batch(p, q)
    return (log_sphere_area(p.ambient_dim) - p._entropy64()).to(p.linear.dtype).expand(batch)
