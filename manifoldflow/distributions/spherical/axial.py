"""Laws of axes, with the same density at s and -s: Bingham and Watson."""

import math
from typing import ClassVar, Self

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions import constraints, register_kl
from torch.distributions.constraints import Constraint

from ...special import log_sphere_area, watson_log_partition, watson_moments
from ..constraints import check_floating, finite_symmetric, joint_batch
from ..laws import Law, Statistic, law_of
from .envelope import Envelope
from .exponential_fit import fit_bingham
from .fisher_bingham import FisherBingham
from .rotational import AroundLoc, around
from .scatter import moments_of
from .spherical_uniform import SphericalUniform

__all__ = ["Bingham", "Watson"]


class Bingham(FisherBingham):
    r"""Bingham distribution :math:`p(s) \propto e^{s^\top A s}` on the unit sphere of R^n: a law of axes.

    On the sphere of R^4 it is a law of orientations, as s and -s are the same rotation.

    Args:
        quadratic: A, symmetric matrices of shape `(*batch, n, n)`, n >= 2; A + cI is the same law.
        validate_args: As in torch: whether parameters and samples are checked.

    Raises:
        ValueError: n < 2, or `quadratic` is not finite and symmetric.

    >>> law = Bingham(torch.diag(torch.tensor([-3.0, -2.0, 0.0])))
    >>> law.log_normalizer
    tensor(-1.1866)

    Reference: C. Bingham, Annals of Statistics 2 (1974). The rest as `FisherBingham`.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"quadratic": finite_symmetric}

    def __init__(self, quadratic: Tensor, *, validate_args: bool | None = None) -> None:
        check_floating("quadratic", quadratic)
        if quadratic.dim() < 2 or quadratic.shape[-1] != quadratic.shape[-2]:
            raise ValueError(f"quadratic: expected shape (*batch, n, n) with n >= 2, got {tuple(quadratic.shape)}")
        super().__init__(quadratic.new_zeros(quadratic.shape[-1]), quadratic, validate_args=validate_args)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch.

        Its axes are those of E[ss'], its eigenvalues have the moments; the largest is set to 0.

        Args:
            points: Points on the sphere, of either sign.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: Points are missing or not of unit norm, a weight is negative or all are zero, or the points do
                not span R^n, where the likelihood has no maximum.
        """
        return cls(fit_bingham(moments_of(points, weights)[1]).to(points.dtype))


class Watson(AroundLoc):
    r"""Watson distribution :math:`p(s) \propto e^{\kappa (\mu \cdot s)^2}` on the unit sphere of R^n: a law of axes.

    Args:
        loc: The axis :math:`\mu`, unit vectors of shape `(*batch, n)`, n >= 2; -loc is the same law.
        concentration: :math:`\kappa`, of either sign, shape broadcastable to `batch`: bipolar about the axis where it
            is positive, a girdle around the equator where it is negative, uniform at 0.
        validate_args: As in torch: whether parameters and samples are checked.

    The density is with respect to surface area; its normaliser is Kummer's 1F1(1/2; n/2; kappa), exact for n to 2,000
    and concentrations to 1e4 of either sign.

    Raises:
        ValueError: n < 2, `loc` is not of unit norm, `concentration` is not finite, or the shapes do not broadcast.

    >>> law = Watson(torch.tensor([0.0, 0.0, 1.0]), -10.0)
    >>> law.second_moment.diagonal()
    tensor([0.4750, 0.4750, 0.0500])

    Reference: K. V. Mardia and P. E. Jupp, Directional Statistics, 2000, section 9.4.2.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"loc": sphere, "concentration": constraints.real}
    has_rsample = False

    def __init__(self, loc: Tensor, concentration: Tensor | float, *, validate_args: bool | None = None) -> None:
        super().__init__(loc, concentration, validate_args=validate_args)
        if self._validate_args and not bool(self.concentration.isfinite().all()):
            raise ValueError("concentration: expected finite numbers, got an infinite one")

    @property
    def mode(self) -> Tensor:
        """The axis where the concentration is positive, else a direction orthogonal to it."""
        n = self.ambient_dim
        least = torch.nn.functional.one_hot(self.loc.abs().argmin(-1), n).to(self.loc)
        across = least - (least * self.loc).sum(-1, keepdim=True) * self.loc
        across = across / torch.linalg.vector_norm(across, dim=-1, keepdim=True)
        return torch.where(self.concentration[..., None] >= 0, self.loc, across)

    @property
    def mean_resultant_length(self) -> Tensor:
        """0: opposite points are equally likely."""
        return torch.zeros_like(self.concentration)

    @property
    def cosine_variance(self) -> Tensor:
        """E[(mu.s)^2], shape `batch`."""
        return watson_moments(self.concentration, self.ambient_dim)[0]

    @property
    def transverse_variance(self) -> Tensor:
        """E[1 - (mu.s)^2] / (n - 1), shape `batch`."""
        return (1 - self.cosine_variance) / (self.ambient_dim - 1)

    @property
    def second_moment(self) -> Tensor:
        """E[ss'], of trace 1, shape `(*batch, n, n)`."""
        return self.covariance_matrix

    @property
    def log_normalizer(self) -> Tensor:
        """-log of the integral of exp(kappa (mu.s)^2), shape `batch`."""
        return -self._log_partition64().to(self.loc.dtype)

    def _log_partition64(self) -> Tensor:
        return watson_log_partition(self.concentration.double(), self.ambient_dim)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area."""
        if self._validate_args:
            self._validate_sample(value)
        cosine = (value.double() * self._row.double()).sum(-1)
        return (self.concentration.double() * cosine.square() - self._log_partition64()).to(value.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        return self._entropy64().to(self.loc.dtype)

    def _entropy64(self) -> Tensor:
        kappa = self.concentration.double()
        return self._log_partition64() - kappa * watson_moments(kappa, self.ambient_dim)[0]

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws by rejection; not differentiable in the parameters."""
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            cos, sin = Envelope.cosines(self.concentration.double(), self.ambient_dim, shape[:-1])
            return around(self._row.detach(), cos, sin, shape)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch.

        The axis is the first or the last eigenvector of E[ss'], whichever is likelier: bipolar or girdle.

        Args:
            points: Points on the sphere, of either sign.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: Points are missing or not of unit norm, a weight is negative or all are zero, or all points lie
                on one axis or on a great sphere, where the likelihood has no maximum.
        """
        second = moments_of(points, weights)[1]
        tau = torch.linalg.eigvalsh(second)
        ends = torch.stack([tau[..., 0], tau[..., -1]])
        if not bool(((ends > 1e-15) & (ends < 1 - 1e-15)).all()):
            raise ValueError(
                "points: expected points off one axis and off a great sphere, where the likelihood grows without "
                "bound; add points"
            )
        axis, kappa = cls.maximum(second)
        return cls(axis.to(points.dtype), kappa.to(points.dtype))

    @staticmethod
    def maximum(second: Tensor, *, pooled: Tensor | None = None, most: float = math.inf) -> tuple[Tensor, Tensor]:
        """Axis and concentration of the largest likelihood for second moments `(*batch, n, n)`, float64.

        Args:
            second: Second moments E[ss'] of trace one.
            pooled: Shares `(*batch,)`, which sum to one over the last dimension, where a row of laws has one
                concentration together.
            most: Bound on the size of the concentration.
        """
        n = second.shape[-1]
        tau, vectors = torch.linalg.eigh(second)
        ends = torch.stack([tau[..., 0], tau[..., -1]])
        if pooled is not None:
            ends = (pooled * ends).sum(-1, keepdim=True).expand_as(ends)
        margin = max(1e-15, 0.125 / most)  # beyond which the concentration is above the bound
        ends = ends.clamp(margin, 1 - margin)
        kappa = _concentration(ends, n).clamp(-most, most)
        value = kappa * ends - watson_log_partition(kappa, n)
        girdle = value[0] > value[1] + 1e-9 * (1 + value[1].abs())  # on the circle both are the same law
        axis = torch.where(girdle[..., None], vectors[..., 0], vectors[..., -1])
        return axis, torch.where(girdle, kappa[0], kappa[1])


def _concentration(mean_square: Tensor, n: int) -> Tensor:
    """kappa at which E[(mu.s)^2] is `mean_square`, in (0, 1), float64: Newton's method, kept in a bracket."""
    r = mean_square
    # S. Sra and D. Karp (J. Multivariate Analysis 114, 2013, theorem 3.1): bounds on both sides, met where r = 1/n
    a, c = 0.5, 0.5 * n
    span = 1 + (1 + 4 * (c + 1) * r * (1 - r) / (a * (c - a))).sqrt()
    low = (r * c - a) / (r * (1 - r)) * (1 + (1 - r) / (c - a))
    high = (r * c - a) / (r * (1 - r)) * (1 + r / a)
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    margin = 1e-9 * (1 + low.abs() + high.abs())
    low, high = low - margin, high + margin
    kappa = ((c * r - a) / (2 * r * (1 - r)) * span).clamp(min=low, max=high)
    for _ in range(60):
        second, fourth = watson_moments(kappa, n)
        error = second - r
        low, high = torch.where(error < 0, kappa, low), torch.where(error > 0, kappa, high)
        new = kappa - error / (fourth - second.square())
        new = torch.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        # The error of the new value is of the order of the square of the step.
        done = bool(((new - kappa).abs() <= 1e-10 * (1 + kappa.abs())).all())
        kappa = new
        if done:
            break
    return kappa


@law_of.register
def _(base: Bingham) -> Law:
    return Law.of(base, "Bingham")


@law_of.register
def _(base: Watson) -> Law:
    return Law.of(
        base, "Watson", statistic=Statistic("squared cosine to the axis", lambda x: (x * base.loc).sum(-1).square())
    )


@register_kl(Watson, Watson)
def _watson_watson(p: Watson, q: Watson) -> Tensor:
    batch = joint_batch(p, q)
    n, kappa = p.ambient_dim, p.concentration.double()
    along = watson_moments(kappa, n)[0]
    across = (1 - along) / (n - 1)
    cosine = (p.loc.double() * q.loc.double()).sum(-1).square()
    spent = kappa * along - q.concentration.double() * (across + (along - across) * cosine)
    value = spent + q._log_partition64() - p._log_partition64()
    return value.clamp(min=0).to(p.loc.dtype).expand(batch)


@register_kl(Watson, SphericalUniform)
def _watson_uniform(p: Watson, q: SphericalUniform) -> Tensor:
    batch = joint_batch(p, q)
    return (log_sphere_area(p.ambient_dim) - p._entropy64()).to(p.loc.dtype).expand(batch)
