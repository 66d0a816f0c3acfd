r"""The angle between a von Mises-Fisher draw and its mean direction: sampling, tails, implicit gradient.

The angle :math:`\theta` in [0, pi] has the density :math:`f(\theta) \propto e^{\kappa \cos\theta}
\sin^{n-2}\theta`. Everything here takes and returns float64; the angle rather than its cosine is the
variable, since the cosine keeps no digits of an angle near 0.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ..special import log_sphere_area, vmf_log_peak, vmf_mean_length_complement

__all__ = ["ReparameterisedAngle", "angle_log_density", "angle_slope", "angle_tail", "sample_angle"]

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(48))
_NODES, _WEIGHTS = 0.5 * (_NODES + 1), 0.5 * _WEIGHTS
_DROP = 42.0  # a tail is cut where its density has fallen by e^-42, below the last bit


def sample_angle(kappa: Tensor, n: int) -> Tensor:
    """Draw an angle for each concentration, exactly: closed form for n = 3, else Wood's rejection (1994)."""
    if n == 3:
        # 1 - cos = -log1p(u expm1(-2 kappa)) / kappa, uniform on [0, 2] in the limit kappa = 0.
        u = torch.rand_like(kappa)
        small = kappa < 1e-9
        safe = torch.where(small, torch.ones_like(kappa), kappa)
        haversine = torch.where(small, u, -0.5 * torch.log1p(u * torch.expm1(-2 * safe)) / safe)
        return _from_haversine(haversine)
    flat = kappa.reshape(-1)
    haversine = torch.empty_like(flat)
    todo = torch.arange(flat.numel(), device=flat.device)
    while todo.numel():
        k = flat[todo]
        proposal, accepted = _wood(k, n)
        haversine[todo[accepted]] = proposal[accepted]
        todo = todo[~accepted]
    return _from_haversine(haversine).reshape(kappa.shape)


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


def _from_haversine(haversine: Tensor) -> Tensor:
    h = haversine.clamp(torch.finfo(haversine.dtype).tiny, 1)
    return 2 * torch.atan2(h.sqrt(), (1 - h).sqrt())


def angle_log_density(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """Log density of the angle with respect to d theta."""
    areas = log_sphere_area(n - 1) - log_sphere_area(n)
    bend = vmf_log_peak(kappa, n) - 2 * kappa * torch.sin(0.5 * theta).square()
    return bend + areas + (n - 2) * torch.sin(theta).log()


def _log_ratio(delta: Tensor, theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """log f(theta + delta) / f(theta), accurate to its last bits for small delta too."""
    half, middle = torch.sin(0.5 * delta), theta + 0.5 * delta
    rise = 2 * torch.cos(middle) * half / torch.sin(theta)
    return -2 * kappa * torch.sin(middle) * half + (n - 2) * torch.log1p(rise.clamp(min=-1))


def _reach(theta: Tensor, kappa: Tensor, n: int, upwards: Tensor) -> Tensor:
    """Signed distance from theta, away from the bulk, over which the density falls by e^-_DROP."""
    room = torch.where(upwards, math.pi - theta, theta)
    sign = torch.where(upwards, 1.0, -1.0).to(theta)
    # Bisection of the distance on a log scale; the density falls all the way, and a factor of 1.1 is enough.
    low, high = torch.full_like(theta, -45.0), torch.zeros_like(theta)
    for _ in range(9):
        middle = 0.5 * (low + high)
        fallen = _log_ratio(sign * room * middle.exp(), theta, kappa, n) < -_DROP
        low, high = torch.where(fallen, low, middle), torch.where(fallen, middle, high)
    return sign * room * high.exp()


def angle_tail(theta: Tensor, kappa: Tensor, n: int, upwards: Tensor) -> tuple[Tensor, Tensor]:
    r"""Integrals of f and of (cos - A) f from theta to pi (`upwards`) or from 0 to theta, over f(theta).

    Accurate where the tail leads away from the bulk. Gauss-Legendre quadrature over the reach of the tail.
    """
    nodes, weights = _NODES.to(theta.device), _WEIGHTS.to(theta.device)
    with torch.no_grad():
        reach = _reach(theta, kappa, n, upwards)
    theta, kappa_, delta = theta[..., None], kappa[..., None], reach[..., None] * nodes
    mass = weights * _log_ratio(delta, theta, kappa_, n).exp()
    # cos - A = (1 - A) - (1 - cos)
    centred = vmf_mean_length_complement(kappa, n)[..., None] - 2 * torch.sin(0.5 * (theta + delta)).square()
    return reach.abs() * mass.sum(-1), reach.abs() * (mass * centred).sum(-1)


def leads_upwards(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """Whether the tail away from the bulk is the one towards pi: is cos(theta) below its mean?"""
    return 2 * torch.sin(0.5 * theta).square() > vmf_mean_length_complement(kappa, n)


def angle_slope(theta: Tensor, kappa: Tensor, n: int) -> Tensor:
    """d theta / d kappa at a fixed quantile, the implicit reparameterisation gradient."""
    upwards = leads_upwards(theta, kappa, n)
    _, moment = angle_tail(theta, kappa, n, upwards)
    return torch.where(upwards, moment, -moment)


class ReparameterisedAngle(torch.autograd.Function):
    """A drawn angle as a differentiable function of the concentration; made of differentiable operations."""

    @staticmethod
    def forward(ctx, kappa: Tensor, n: int) -> Tensor:  # type: ignore[no-untyped-def]
        theta = sample_angle(kappa, n)
        ctx.n = n
        ctx.save_for_backward(kappa, theta)
        return theta

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        kappa, theta = ctx.saved_tensors
        return grad * angle_slope(theta, kappa, ctx.n), None
