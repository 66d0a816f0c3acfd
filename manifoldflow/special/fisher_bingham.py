r"""The normaliser of the Fisher-Bingham family, exact in every dimension, by one contour integral.

.. math:: C(b, A) = \int_{S^{n-1}} e^{b \cdot x + x^\top A x} dx

with respect to surface area. In the eigenbasis of A, with eigenvalues :math:`a_i` shifted so that the largest is 0,
the Gaussian integral over all of R^n is a Laplace transform in :math:`|x|^2`; inverted at 1, it gives

.. math:: C = 2 \pi^{n/2} \frac{1}{2 \pi i} \int e^{\phi(s)} ds, \quad
          \phi(s) = s - \tfrac12 \sum_i \log(s - a_i) + \sum_i \frac{b_i^2}{4 (s - a_i)},

along any contour that passes to the right of 0 and ends where the integrand vanishes. It starts here at the saddle
:math:`s_0 > 0` (one, as :math:`\phi` is convex there) and runs along

.. math:: s(t) = s_0 + i t / \sqrt{\phi_2} + \epsilon\, \phi_3 t^2 / (6 \phi_2^2), \quad t = k \sinh(v / k),

with :math:`\phi_2, \phi_3` the derivatives at the saddle. With :math:`\epsilon = 1` this is the parabola of steepest
descent, which fails where A and b are opposed and the integrand has a second saddle to the left: the parabola bends
into it. A twentieth of that bend still ends where :math:`e^s` vanishes, and keeps clear of it. Equal steps in v are
as fine as a Gaussian needs near the saddle and grow geometrically along the tail. The midpoint rule converges
exponentially.

At a node s, x is Gaussian with mean b_i / 2(s - a_i) and variances 1 / 2(s - a_i): E[x], E[xx'] and their
derivatives are averages of Gaussian moments over the contour, at eigenvalues that may repeat.

The integral is that of Kume and Wood (Biometrika 92, 2005); T. Chen and K. Tanaka (arXiv 2004.14660) compute it on a
straight contour.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = [
    "fisher_bingham_log_partition",
    "fisher_bingham_moments",
    "watson_log_partition",
    "watson_moments",
]

_NODES = 80
_END = 50.0  # of t
_STRETCH = 3.0  # k
_BEND = 0.05
_NEWTON_STEPS = 14

Eigen = tuple[Tensor, Tensor]


def fisher_bingham_log_partition(linear: Tensor, quadratic: Tensor, eigen: Eigen | None = None) -> Tensor:
    """log C(b, A), the log of the integral of exp(b.x + x'Ax) over the unit sphere, with respect to area.

    Args:
        linear: b, shape `(*batch, n)`, n >= 2.
        quadratic: A, symmetric, shape `(*batch, n, n)`; only its symmetric part counts.
        eigen: `torch.linalg.eigh` of the symmetric part in float64, where it is known already.

    Returns:
        Shape `(*batch,)`, in the dtype of `linear`, float64 inside; within 1e-10 for n to 2,000 and entries to 1e4.
        Twice differentiable in both parameters, also where eigenvalues repeat: the gradient is (E[x], E[xx']).
    """
    b, a, (values, vectors) = _prepare(linear, quadratic, eigen)
    return _LogPartition.apply(b, a, values, vectors).to(linear.dtype)


def fisher_bingham_moments(linear: Tensor, quadratic: Tensor, eigen: Eigen | None = None) -> tuple[Tensor, Tensor]:
    """E[x] `(*batch, n)` and E[xx'] `(*batch, n, n)`, the gradient of the log partition; differentiable once.

    Arguments as in `fisher_bingham_log_partition`.
    """
    b, a, (values, vectors) = _prepare(linear, quadratic, eigen)
    mean, second = _Moments.apply(b, a, values, vectors)
    return mean.to(linear.dtype), second.to(linear.dtype)


def watson_log_partition(kappa: Tensor, n: int) -> Tensor:
    """The log of the integral of exp(kappa (m.x)^2) over the unit sphere of R^n, with respect to area.

    It is log area + log 1F1(1/2; n/2; kappa), for concentrations of either sign and any shape, float64 inside;
    differentiable any number of times.
    """
    values, counts = _watson(kappa, n)
    nodes, steps, start = _contour(values.detach(), torch.zeros_like(values), counts)
    return _log_integral(values, torch.zeros_like(values), counts, nodes, steps, start)[0].to(kappa.dtype)


def watson_moments(kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """E[(m.x)^2] and E[(m.x)^4] of the Watson distribution, the first the derivative of its log partition."""
    values, counts = _watson(kappa, n)
    zero = torch.zeros_like(values)
    nodes, steps, start = _contour(values.detach(), zero, counts)
    weights, half = _log_integral(values, zero, counts, nodes, steps, start)[1:]
    variance = half[..., 0]
    second = (weights * variance).real.sum(-1)
    fourth = (weights * 3 * variance * variance).real.sum(-1)
    return second.to(kappa.dtype), fourth.to(kappa.dtype)


def _watson(kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    kappa = kappa.double()
    return torch.stack([kappa, torch.zeros_like(kappa)], -1), kappa.new_tensor([1.0, n - 1.0])


def _prepare(linear: Tensor, quadratic: Tensor, eigen: Eigen | None) -> tuple[Tensor, Tensor, Eigen]:
    """float64, one batch shape, symmetric."""
    b, a = linear.double(), quadratic.double()
    a = 0.5 * (a + a.mT)
    if eigen is None:
        values, vectors = torch.linalg.eigh(a.detach())
    else:
        values, vectors = eigen
    batch = torch.broadcast_shapes(b.shape[:-1], a.shape[:-2])
    n = b.shape[-1]
    square = (*batch, n, n)
    return b.expand(*batch, n), a.expand(square), (values.expand(*batch, n), vectors.expand(square))


def _contour(values: Tensor, b: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes relative to the saddle and steps, complex `(*batch, nodes)`, and the saddle minus the largest eigenvalue.

    `counts` says how often each eigenvalue occurs (each with the same b, which is 0 where that is more than once).
    """
    a = values - values.amax(-1, keepdim=True)
    q = 0.25 * b * b
    # g(s) = sum c / 2(s - a) + q / (s - a)^2 = 1 at the saddle. No term exceeds 1 there, which bounds it from below;
    # g^(-1/2) is a power mean of concave functions, hence concave, and Newton's method rises to the root.
    s = (0.25 * counts + (counts.square() / 16 + q).sqrt() + a).amax(-1, keepdim=True)
    for _ in range(_NEWTON_STEPS):
        r = 1 / (s - a)
        g = (0.5 * counts * r + q * r * r).sum(-1, keepdim=True)
        slope = (0.5 * counts * r * r + 2 * q * r**3).sum(-1, keepdim=True)
        s = s + 2 * g * (g.sqrt() - 1) / slope
    r = 1 / (s - a)
    second = (0.5 * counts * r**2 + 2 * q * r**3).sum(-1, keepdim=True)
    third = -(counts * r**3 + 6 * q * r**4).sum(-1, keepdim=True)
    step = _STRETCH * math.asinh(_END / _STRETCH) / _NODES
    v = (torch.arange(_NODES, dtype=a.dtype, device=a.device) + 0.5) * (step / _STRETCH)
    t, dt = _STRETCH * v.sinh(), step * v.cosh()
    bend, width = _BEND * third / (6 * second * second), second.rsqrt()
    nodes = torch.complex(bend * t * t, width * t)
    steps = torch.complex(2 * bend * t * dt, width * dt)
    return nodes, steps, s


def _log_integral(
    values: Tensor, b: Tensor, counts: Tensor, nodes: Tensor, steps: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """log C, weights `(*batch, nodes)` whose real parts sum to 1, and variances 1 / 2(s - a) `(*batch, nodes, m)`.

    Differentiable in `values` and `b`: the contour is free, so that its nodes are constants.
    """
    top = values.detach().amax(-1, keepdim=True)
    u = start - (values - top)
    q = 0.25 * b * b
    offset, gap = nodes.unsqueeze(-1), u.unsqueeze(-2)
    half = 0.5 / (gap + offset)
    # phi(s) - phi(s0), so that nothing large is lost.
    bent = 0.5 * counts.unsqueeze(-2) * torch.log1p(offset / gap) + 2 * q.unsqueeze(-2) * half * offset / gap
    weights = -1j * steps * (nodes - bent.sum(-1)).exp()
    total = weights.real.sum(-1, keepdim=True)
    peak = start[..., 0] + top[..., 0] + (q / u - 0.5 * counts * u.log()).sum(-1)
    n = counts.expand_as(values).sum(-1)
    log_c = math.log(2 / math.pi) + 0.5 * math.log(math.pi) * n + peak + total[..., 0].log()
    return log_c, weights / total, half


class _AtNodes:
    """Weights, means and variances of the Gaussians at the nodes, in the eigenbasis."""

    def __init__(self, b: Tensor, values: Tensor, vectors: Tensor) -> None:
        self.vectors = vectors
        self.b = (b.unsqueeze(-2) @ vectors).squeeze(-2)
        counts = torch.ones_like(values)
        contour = _contour(values, self.b, counts)
        self.log_partition, self.weights, self.variance = _log_integral(values, self.b, counts, *contour)
        self.mean = self.variance * self.b.unsqueeze(-2)

    def average(self, at_nodes: Tensor) -> Tensor:
        """The average `(*batch, n)` of values `(*batch, nodes, n)`."""
        return (self.weights.unsqueeze(-1) * at_nodes).real.sum(-2)

    def outer(self, x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        """The sum `(*batch, n, n)` over nodes of the real part of weight times x y'."""
        x = weights.unsqueeze(-1) * x
        return x.real.mT @ y.real - x.imag.mT @ y.imag

    def turn_back(self, mean: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """From the eigenbasis to the coordinates of the arguments."""
        rows = (self.vectors @ mean.unsqueeze(-1)).squeeze(-1)
        return rows, self.vectors @ second @ self.vectors.mT


class _LogPartition(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(b: Tensor, a: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
        return _AtNodes(b, values, vectors).log_partition

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        mean, second = _Moments.apply(*ctx.saved_tensors)
        return grad.unsqueeze(-1) * mean, grad[..., None, None] * second, None, None


class _Moments(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(b: Tensor, a: Tensor, values: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        at = _AtNodes(b, values, vectors)
        second = at.outer(at.mean, at.mean, at.weights) + torch.diag_embed(at.average(at.variance))
        return at.turn_back(at.average(at.mean), second)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_mean: Tensor, grad_second: Tensor) -> tuple[Tensor | None, ...]:
        b, _, values, vectors = ctx.saved_tensors
        return *_hessian_product(b, values, vectors, grad_mean, grad_second), None, None


def _hessian_product(
    b: Tensor, values: Tensor, vectors: Tensor, along_b: Tensor, along_a: Tensor
) -> tuple[Tensor, Tensor]:
    """The derivative of (E[x], E[xx']) along (along_b, along_a); the Hessian of log C is symmetric.

    The contour stays fixed. With S = diag(variance) and m = S b at a node, the log of the integrand changes at the
    rate tr(V (S + mm')) + v.m, S at 2 S V S and m at S (2 V m + v).
    """
    at = _AtNodes(b, values, vectors)
    v = (along_b.unsqueeze(-2) @ vectors).squeeze(-2)
    full = vectors.mT @ (0.5 * (along_a + along_a.mT)) @ vectors
    mean, variance, weights = at.mean, at.variance, at.weights
    turned = torch.complex(mean.real @ full, mean.imag @ full)
    diagonal = full.diagonal(dim1=-2, dim2=-1)
    rate = (diagonal.unsqueeze(-2) * variance + turned * mean + v.unsqueeze(-2) * mean).sum(-1)
    excess = weights * (rate - (weights * rate).real.sum(-1, keepdim=True))
    mean_rate = variance * (2 * turned + v.unsqueeze(-2))
    mean_slope = (excess.unsqueeze(-1) * mean).real.sum(-2) + at.average(mean_rate)
    cross = at.outer(mean, mean_rate, weights)
    second_slope = at.outer(mean, mean, excess) + cross + cross.mT
    second_slope = second_slope + torch.diag_embed((excess.unsqueeze(-1) * variance).real.sum(-2))
    second_slope = second_slope + 2 * full * at.outer(variance, variance, weights)
    return at.turn_back(mean_slope, second_slope)
