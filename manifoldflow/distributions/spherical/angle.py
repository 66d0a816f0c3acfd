"""The angle between a von Mises-Fisher draw and its mean direction: a distribution with exact tails and quantiles.

The functions below take and return float64; the angle rather than its cosine is the variable, since the cosine keeps
no digits of an angle near 0.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Size, Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ...checks import check_integer, is_eager
from ...special import log1mexp, log_gamma_ratio, log_ndtri, vmf_log_peak, vmf_mean_length_complement
from ..base import CheckedDistribution, Parameter
from ..constraints import as_parameter, check_floating, finite_nonnegative

__all__ = [
    "ReparameterisedAngle",
    "VonMisesFisherAngle",
    "angle_from_normal",
    "angle_log_density",
    "angle_log_tail",
    "angle_slope",
    "angle_tail",
    "angle_to_normal",
    "haversine_in_space",
    "sample_angle",
    "sample_haversine",
    "solve_angle",
    "tail_masses",
]

_CLOSED = 0.1
"""Concentration from which the derivative of the closed quantile keeps its digits: below, two terms cancel."""


class VonMisesFisherAngle(CheckedDistribution):
    r"""Angle :math:`\theta \in [0, \pi]` between a von Mises-Fisher draw and its mean direction, in radians.

    .. math:: f(\theta) \propto e^{\kappa\cos\theta} \sin^{n-2}\theta

    Args:
        concentration: :math:`\kappa \ge 0`, any shape: the batch shape.
        ambient_dim: n >= 2.

    The angle, not its cosine, is the variable that keeps its digits: at :math:`\kappa = 10^8` and n = 3 the
    cosines differ from 1 by 1e-8. Tail probabilities are Gauss-Legendre quadratures over the tail away from
    the bulk (relative error about 1e-12 at n = 785, growing with n), so neither tail is ever 1 minus the other.
    Computed in float64; results have the dtype of the argument. All are differentiable in the argument and in
    the concentration, twice.

    Raises:
        ValueError: n < 2 or not an integer, or a concentration is negative, infinite or NaN.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"concentration": finite_nonnegative}
    support = constraints.interval(0, math.pi + 1e-6)  # float32's nearest number to pi lies above it
    has_rsample = True
    concentration = Parameter()

    def __init__(self, concentration: Tensor | float, ambient_dim: int, *, validate_args: bool | None = None) -> None:
        ambient_dim = check_integer("ambient_dim", ambient_dim, least=2)
        concentration = as_parameter("concentration", concentration)
        check_floating("concentration", concentration)
        self.concentration = concentration
        self.ambient_dim = ambient_dim
        super().__init__(concentration.shape, Size(), validate_args=validate_args)

    def _float64(self, value: Tensor) -> tuple[Tensor, Tensor]:
        theta, kappa = torch.broadcast_tensors(value.double(), self.concentration.double())
        return theta, kappa

    @property
    def mode(self) -> Tensor:
        """The angle at which the density is greatest; 0 for n = 2."""
        return _mode_and_spread(self.concentration.double(), self.ambient_dim)[0].to(self.concentration.dtype)

    @property
    def mean(self) -> Tensor:
        """By quadrature."""
        theta, mass = self._rule()
        return (mass * theta).sum(-1).to(self.concentration.dtype)

    @property
    def variance(self) -> Tensor:
        """By quadrature."""
        theta, mass = self._rule()
        mean = (mass * theta).sum(-1, keepdim=True)
        return (mass * (theta - mean).square()).sum(-1).to(self.concentration.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to d theta, in nats; by quadrature."""
        theta, mass = self._rule()
        kappa = self.concentration.double()[..., None]
        return -(mass * angle_log_density(theta, kappa, self.ambient_dim)).sum(-1).to(self.concentration.dtype)

    def _rule(self) -> tuple[Tensor, Tensor]:
        """Angles on both sides of the mode, out to where the density has vanished, and their probabilities; float64."""
        kappa, n = self.concentration.double(), self.ambient_dim
        mode, spread = _mode_and_spread(kappa, n)
        nodes, weights = _NODES.to(kappa.device), _WEIGHTS.to(kappa.device)
        below, above = torch.minimum(mode, 12 * spread), torch.minimum(math.pi - mode, 12 * spread)
        left, right = (mode - below)[..., None] + below[..., None] * nodes, mode[..., None] + above[..., None] * nodes
        theta = torch.cat([left, right], -1)
        width = torch.cat([below[..., None] * weights, above[..., None] * weights], -1)
        return theta, width * angle_log_density(theta, kappa[..., None], n).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to d theta."""
        value = self._checked(value)
        theta, kappa = self._float64(value)
        return angle_log_density(theta, kappa, self.ambient_dim).to(value.dtype)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Log probability of a smaller angle."""
        return self._log_probability(value, above=False)

    def log_survival(self, value: Tensor) -> Tensor:
        """Log probability of a larger angle."""
        return self._log_probability(value, above=True)

    def _log_probability(self, value: Tensor, *, above: bool) -> Tensor:
        value = self._as_value(value)
        theta, kappa = self._float64(value)
        log_tail, upwards = angle_log_tail(theta, kappa, self.ambient_dim)
        direct = upwards if above else ~upwards
        return torch.where(direct, log_tail, log1mexp(log_tail.clamp(max=0))).to(value.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of a smaller angle."""
        value = self._as_value(value)
        return self.log_cdf(value.double()).exp().to(value.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """The angle below which the probability is `value`, in [0, 1]."""
        value = self._as_value(value)
        return self.from_normal(log_ndtri(value.double().log())).to(value.dtype)

    def to_normal(self, value: Tensor) -> Tensor:
        """Gaussianise: the standard normal quantile of `cdf(value)`, increasing, exact in both tails."""
        value = self._as_value(value)
        theta, kappa = self._float64(value)
        return angle_to_normal(theta, kappa, self.ambient_dim).to(value.dtype)

    def from_normal(self, value: Tensor) -> Tensor:
        """The inverse of `to_normal`."""
        value = self._as_value(value)
        z, kappa = self._float64(value)
        return angle_from_normal(z, kappa, self.ambient_dim).to(value.dtype)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        shape = self._extended_shape(sample_shape)
        theta = ReparameterisedAngle.apply(self.concentration.double().expand(shape), self.ambient_dim)
        return theta.to(self.concentration.dtype)


_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(48))
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS
_EDGE = 1e-300
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_MOST_STEPS = 100
_DROP = 42.0  # a tail is cut where its density has fallen by e^-42, below the last bit


def sample_haversine(kappa: Tensor, n: int, shape: Size) -> Tensor:
    """Draws of (1 - cos theta)/2, `shape`, to which `kappa` broadcasts: closed form for n = 3, else Wood (1994)."""
    tiny = torch.finfo(kappa.dtype).tiny
    if n == 3:
        # -log1p(u expm1(-2 kappa)) / (2 kappa), uniform on [0, 1] in the limit kappa = 0.
        u = torch.rand(shape, dtype=kappa.dtype, device=kappa.device)
        if kappa.numel() == 1 and kappa.is_cpu and is_eager():  # in place, and without both branches
            rate = -2 * float(kappa)
            drawn = u if rate > -2e-9 else u.mul_(math.expm1(rate)).log1p_().div_(rate)
            return drawn.clamp_(tiny, 1)
        small = kappa < 1e-9
        safe = torch.where(small, 1.0, kappa)
        drawn = _quantile_in_space(u, safe)
        return torch.where(small, u, drawn).clamp_(tiny, 1)
    flat = kappa.expand(shape).reshape(-1)
    haversine, accepted = _wood(flat, n)
    todo = accepted.logical_not().nonzero().squeeze(-1)
    while todo.numel():
        proposal, accepted = _wood(flat[todo], n)
        haversine[todo] = proposal  # a rejected one is overwritten in the next round
        todo = todo[~accepted]
    return haversine.clamp_(tiny, 1).reshape(shape)


def haversine_in_space(kappa: Tensor, shape: Size) -> Tensor | None:
    """`sample_haversine` for n = 3 with derivatives in kappa; None where some kappa is too small for them."""
    if not is_eager() or bool((kappa < _CLOSED).any()):
        return None
    u = torch.rand(shape, dtype=kappa.dtype, device=kappa.device)
    return _quantile_in_space(u, kappa).clamp(torch.finfo(kappa.dtype).tiny, 1)


def _quantile_in_space(u: Tensor, kappa: Tensor) -> Tensor:
    return torch.log1p(u * torch.expm1(-2 * kappa)) / (-2 * kappa)


def _wood(kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Proposals for (1 - cos)/2 and which of them are accepted; no difference of near-equal numbers."""
    m = n - 1
    b = m / (2 * kappa + (4 * kappa * kappa + m * m).sqrt())
    half = torch.full_like(kappa, 0.5 * m)
    beta = torch.distributions.Beta(half, half, validate_args=False).sample()
    haversine = b * beta / (1 - (1 - b) * beta)
    ratio = (b + (1 - b) * haversine) * (1 + b) / (2 * b)
    log_accept = 2 * kappa * (b / (1 + b) - haversine) + m * ratio.log()
    return haversine, torch.rand_like(kappa).log() <= log_accept


def sample_angle(kappa: Tensor, n: int) -> Tensor:
    """Draws of the angle, one for each concentration."""
    h = sample_haversine(kappa, n, kappa.shape)
    return 2 * torch.atan2(h.sqrt(), (1 - h).sqrt())


def angle_log_density(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """Log density of the angle with respect to d theta."""
    half = torch.tensor(0.5, dtype=theta.dtype, device=theta.device)
    areas = log_gamma_ratio(half * (n - 1), half) - 0.5 * math.log(math.pi)  # area of S^(n-2) over that of S^(n-1)
    bend = vmf_log_peak(kappa, n) - 2 * kappa * torch.sin(0.5 * theta).square()
    if n == 2:
        return bend + areas  # finite at both ends, where 0 log 0 would be NaN
    # abs: float32's nearest number to pi lies above it, where the sine is negative
    return bend + areas + (n - 2) * torch.sin(theta).abs().log()


def _log_ratio(delta: Tensor, theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """log f(theta + delta) / f(theta), accurate to its last bits for small delta too."""
    half, middle = torch.sin(0.5 * delta), theta + 0.5 * delta
    rise = 2 * torch.cos(middle) * half / torch.sin(theta)
    return -2 * kappa * torch.sin(middle) * half + (n - 2) * torch.log1p(rise.clamp(min=-1))


def _room(theta: Tensor, upwards: Tensor) -> Tensor:
    """Signed distance from theta to pi or to 0."""
    return torch.where(upwards, math.pi - theta, -theta)


@torch.no_grad()
def _reach(theta: Tensor, upwards: Tensor, log_ratio: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The share of the room, going away from the bulk, over which the density falls by e^-_DROP."""
    room = _room(theta, upwards)
    # Bisection of the distance on a log scale; the density falls all the way, and a factor of 1.1 is enough.
    low, high = torch.full_like(theta, -45.0), torch.zeros_like(theta)
    for _ in range(9):
        middle = 0.5 * (low + high)
        fallen = log_ratio(room * middle.exp(), theta) < -_DROP
        low, high = torch.where(fallen, low, middle), torch.where(fallen, middle, high)
    return high.exp()


def tail_masses(
    theta: Tensor, upwards: Tensor, log_ratio: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss-Legendre quadrature of f / f(theta) over the tail that leads from `theta` `(*, 1)` away from the bulk.

    Args:
        theta: The angle.
        upwards: Whether the tail leads to pi, or to 0.
        log_ratio: log f(theta + delta) / f(theta) from delta and theta.

    Returns:
        The length of the tail, `(*, 1)`; the distances of the nodes and the density there times their weights.
    """
    nodes, weights = _NODES.to(theta.device), _WEIGHTS.to(theta.device)
    # Only the share is a constant for autograd: a tail that reaches the end keeps ending there.
    reach = _room(theta, upwards) * _reach(theta, upwards, log_ratio)
    delta = reach * nodes
    return reach.abs(), delta, weights * log_ratio(delta, theta).exp()


def angle_tail(theta: Tensor, kappa: Tensor, n: int, upwards: Tensor) -> tuple[Tensor, Tensor]:
    r"""Integrals of f and of (cos - A) f from theta to pi (`upwards`) or from 0 to theta, over f(theta).

    Accurate where the tail leads away from the bulk.
    """
    column = theta[..., None]
    reach, delta, mass = tail_masses(
        column, upwards[..., None], lambda away, start: _log_ratio(away, start, kappa[..., None], n)
    )
    # cos - A = (1 - A) - (1 - cos)
    centred = vmf_mean_length_complement(kappa, n)[..., None] - 2 * torch.sin(0.5 * (column + delta)).square()
    return (reach * mass).sum(-1), (reach * mass * centred).sum(-1)


def _leads_upwards(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """Whether the tail away from the bulk is the one towards pi: is cos(theta) below its mean?"""
    return 2 * torch.sin(0.5 * theta).square() > vmf_mean_length_complement(kappa, n)


def angle_log_tail(theta: Tensor, kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Log probability of the side of theta away from the bulk, and whether that side is [theta, pi]."""
    inside = theta.clamp(_EDGE, math.pi - _EDGE)
    upwards = _leads_upwards(inside, kappa, n)
    reach, _, masses = tail_masses(
        inside[..., None], upwards[..., None], lambda away, start: _log_ratio(away, start, kappa[..., None], n)
    )
    mass = (reach * masses).sum(-1)
    empty = mass == 0  # at pi itself
    log_mass = torch.where(empty, 1.0, mass).log()  # a logarithm of zero would pass NaN to the concentration
    return torch.where(empty, -math.inf, angle_log_density(inside, kappa, n) + log_mass), upwards


def angle_to_normal(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """The standard normal quantile of the probability of [0, theta]; increasing, keeps both tails."""
    log_tail, upwards = angle_log_tail(theta, kappa, n)
    z = log_ndtri(log_tail.clamp(max=0))
    return torch.where(upwards, -z, z)


def angle_slope(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """d theta / d kappa at a fixed quantile, the implicit reparameterisation gradient."""
    upwards = _leads_upwards(theta, kappa, n)
    _, moment = angle_tail(theta, kappa, n, upwards)
    return torch.where(upwards, moment, -moment)


class ReparameterisedAngle(torch.autograd.Function):
    """A drawn angle as a differentiable function of the concentration."""

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, n: int) -> Tensor:
        theta = sample_angle(kappa, n)
        ctx.n = n
        ctx.save_for_backward(kappa, theta)
        return theta

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        kappa, theta = ctx.saved_tensors
        return grad * angle_slope(theta, kappa, ctx.n), None


def _mode_and_spread(kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The most likely angle, and the standard deviation of the Gaussian with the curvature there."""
    m = n - 2
    cosine = 2 * kappa / (m + (m * m + 4 * kappa * kappa).sqrt()).clamp(min=_EDGE)
    sine = (1 - cosine * cosine).clamp(min=0)
    # At n = 2 the curvature falls to zero with the concentration; the angle's deviation stays below 1.
    curvature = kappa * cosine + m / sine.clamp(min=_EDGE)
    return torch.acos(cosine.clamp(max=1)), curvature.clamp(min=1).rsqrt()


@torch.no_grad()
def solve_angle(
    z: Tensor, start: Tensor, to_normal: Callable[[Tensor], Tensor], log_density: Callable[[Tensor], Tensor]
) -> Tensor:
    """The angle with `to_normal(angle) = z`, by Newton's method from a first guess `start`, within a bracket.

    In x = log tan(theta/2) both ends are at infinity, and z grows there like the root of |x|.
    """
    x = (0.5 * start).tan().log()
    low, high = torch.full_like(z, -690.0), torch.full_like(z, 40.0)
    fixed = ~z.isfinite()  # the ends are known, and nothing else would ever be close to them
    x = torch.where(fixed, torch.where(z < 0, low, torch.where(z > 0, high, z)), x)
    for _ in range(_MOST_STEPS):
        theta = 2 * x.exp().atan()
        now = to_normal(theta)
        low, high = torch.where(now < z, x, low), torch.where(now < z, high, x)
        log_slope = log_density(theta) + 0.5 * now * now + _HALF_LOG_TWO_PI
        new = x - (now - z) / (log_slope.exp() * theta.sin())
        close = (new - x).abs() <= 1e-9 * x.abs().clamp(min=1)  # convergence is quadratic: the next step is exact
        new = torch.where(close | ((new > low) & (new < high)), new, 0.5 * (low + high))
        x = torch.where(fixed, x, new)
        if bool((close | fixed).all()):
            break
    return 2 * x.exp().atan()


class _FromNormal(torch.autograd.Function):
    """The inverse of `angle_to_normal` in theta: Newton's method there, where the law is nearly a line."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, kappa: Tensor, n: int) -> Tensor:
        mode, spread = _mode_and_spread(kappa, n)
        start = torch.maximum(mode + spread * z, 0.1 * spread.clamp(max=1)).clamp(max=3.0)
        theta = solve_angle(
            z, start, lambda angle: angle_to_normal(angle, kappa, n), lambda angle: angle_log_density(angle, kappa, n)
        )
        ctx.n = n
        ctx.save_for_backward(z, kappa, theta)
        return theta

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        z, kappa, theta = ctx.saved_tensors
        slope = torch.exp(-0.5 * z * z - _HALF_LOG_TWO_PI - angle_log_density(theta, kappa, ctx.n))
        return grad * slope, grad * angle_slope(theta, kappa, ctx.n), None


def angle_from_normal(z: Tensor, kappa: Tensor, n: int) -> Tensor:
    """The angle whose probability of [0, theta] is that of (-inf, z] under the standard normal."""
    z, kappa = torch.broadcast_tensors(z, kappa)
    return _FromNormal.apply(z, kappa, n)
