r"""Values of Dirichlet laws whose terms, linear in the concentration and far larger than the result, have cancelled.

With :math:`A = \sum_k a_k`, :math:`p_k = a_k / A` and Stirling's remainder S,

.. math:: -\log B(a) = -\sum_k a_k \log p_k + \tfrac12 \sum_k \log a_k - \tfrac12 \log A
          - \tfrac{D - 1}{2} \log 2\pi + S(A) - \sum_k S(a_k).

Everything takes and returns float64, coordinates last.
"""

import math

import torch
from torch import Tensor

from ..manifolds import is_eager
from ..special import bregman_entropy, log1p_excess, stirling, stirling_divergence, stirling_slope
from ..special.series import horner

__all__ = ["divergence", "entropy", "fit", "log_density", "log_density_log"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_MOST_STEPS = 200
_TRIGAMMA = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66)  # Bernoulli's numbers
_SPLIT = 134217729.0  # 2^27 + 1
_PLAIN = 1e5  # terms of a million, whose float64 rounding float32 does not see


def _volume(a: Tensor, total: Tensor) -> Tensor:
    """-log B(a) without its terms linear in a."""
    half_logs = 0.5 * (a.log().sum(-1) - total.log())
    return half_logs - (a.shape[-1] - 1) * _HALF_LOG_TWO_PI + stirling(total) - stirling(a).sum(-1)


def log_density_log(a: Tensor, log_s: Tensor, power: float = 1.0) -> Tensor:
    """sum (a_k - power) log s_k - log B(a)."""
    total = a.sum(-1, keepdim=True)
    near = (a * (log_s - (a / total).log())).sum(-1) - power * log_s.sum(-1)
    return near + _volume(a, total[..., 0])


def log_density(a: Tensor, s: Tensor, single: bool = False) -> Tensor:
    """sum (a_k - 1) log s_k - log B(a), to the last digits also where a_k eps is large.

    With `single`, to those of float32 only, which takes a tenth of the time where the concentrations are moderate.
    """
    total = a.sum(-1, keepdim=True)
    if single and is_eager() and bool((total < _PLAIN).all()):
        return torch.xlogy(a - 1, s).sum(-1) + torch.lgamma(total[..., 0]) - torch.lgamma(a).sum(-1)
    scaled = s * total
    # s_k A - a_k with the rounding error of the product, which would be multiplied by a_k
    excess = (scaled - a) + _product_error(s, total, scaled)
    relative = excess / a
    near = relative.abs() < 0.5
    inner = excess - a * log1p_excess(torch.where(near, relative, 0.0)) - torch.where(near, s, 1.0).log()
    outer = torch.xlogy(a - 1, torch.where(near, 1.0, s)) - a * (a / total).log()
    return torch.where(near, inner, outer).sum(-1) + _sum_error(a, total[..., 0]) + _volume(a, total[..., 0])


@torch.no_grad()
def _product_error(x: Tensor, y: Tensor, product: Tensor) -> Tensor:
    """x y - product, exactly (Dekker, Numerische Mathematik 18, 1971)."""
    high_x, high_y = (_SPLIT * v - (_SPLIT * v - v) for v in (x, y))
    low_x, low_y = x - high_x, y - high_y
    error = low_x * low_y - (((product - high_x * high_y) - low_x * high_y) - high_x * low_y)
    return torch.where(error.isfinite(), error, 0.0)


@torch.no_grad()
def _sum_error(a: Tensor, total: Tensor) -> Tensor:
    """The sum of a over its last dimension less `total`, in which it is rounded."""
    # Cut at one power of two above the sum, the leading parts add up exactly (Rump, Ogita and Oishi, SISC 31, 2008).
    unit = torch.ldexp(torch.ones_like(total), torch.frexp(total).exponent + 1)[..., None]
    leading = (a + unit) - unit
    error = (leading.sum(-1) - total) + (a - leading).sum(-1)
    return torch.where(error.isfinite(), error, 0.0)


def entropy(a: Tensor) -> Tensor:
    """Differential entropy: that of the Gaussian limit and corrections that vanish with 1/a."""
    count, total = a.shape[-1], a.sum(-1)
    gaussian = 0.5 * (a / total[..., None]).log().sum(-1) - 0.5 * (count - 1) * total.log()
    gaussian = gaussian + (count - 1) * (_HALF_LOG_TWO_PI + 0.5)
    rest = 0.5 * count / total - 0.5 * a.reciprocal().sum(-1) - stirling(total) + stirling(a).sum(-1)
    return gaussian + rest + (total - count) * stirling_slope(total) - ((a - 1) * stirling_slope(a)).sum(-1)


def divergence(a: Tensor, b: Tensor) -> Tensor:
    """KL(Dirichlet(a), Dirichlet(b)), to relative accuracy also where a and b are close and large.

    log Gamma is x log x - x - log(x)/2 + S, and the divergence is the sum of the Bregman divergences of log Gamma at
    the coordinates less that at the totals. For x log x the difference is sum(b) KL(b / sum b, a / sum a).
    """
    a, b = torch.broadcast_tensors(a, b)
    total_a, total_b = a.sum(-1, keepdim=True), b.sum(-1, keepdim=True)
    r = (b - a) / a
    total_r = (b - a).sum(-1, keepdim=True) / total_a
    log_r, log_total_r = (b / a).log(), (total_b / total_a).log()
    u = (r - total_r) / (1 + total_r)  # (b_k / sum b) / (a_k / sum a) - 1
    linear = (total_b * (a / total_a) * bregman_entropy(u, log_r - log_total_r)).sum(-1)
    halves = 0.5 * (log1p_excess(r, log_r).sum(-1) - log1p_excess(total_r, log_total_r)[..., 0])
    rest = stirling_divergence(a, b).sum(-1) - stirling_divergence(total_a, total_b)[..., 0]
    return linear + halves + rest


def fit(s: Tensor, w: Tensor) -> Tensor:
    """The likeliest concentrations `(*batch, D)` of points `(*batch, m, D)` with weights `(*batch, m)`.

    Newton's method in mean and precision (T. Minka, Estimating a Dirichlet distribution, 2000, section 1.2), written in
    what is left of the likelihood equations, psi(a_k) - psi(A) = E log s_k, once the logs of the means m_k have
    cancelled. With a_k = A m_k exp(u_k), c(x) = log x - psi(x) and v_k = log m_k - E log s_k:

        u_k = c(a_k) - c(A) - v_k,    sum m_k expm1(u_k) = 0.
    """
    mean = (w[..., None, :] @ s)[..., 0, :]
    mean = mean / mean.sum(-1, keepdim=True)
    away = (s - mean[..., None, :]) / mean[..., None, :]
    lost = log1p_excess(away, s.log() - mean.log()[..., None, :]) - away
    lost = (w[..., None, :] @ lost)[..., 0, :]  # E away vanishes up to the rounding of the mean
    lost = lost + (w[..., None, :] @ away)[..., 0, :]
    return _refine(_rough(mean, lost, (w[..., None, :] @ s.log())[..., 0, :]), mean, lost)


def _rough(mean: Tensor, lost: Tensor, mean_log: Tensor) -> Tensor:
    """The maximum to a few digits: by second moments, and where that is small by Minka's Newton steps, halved."""
    total = 0.5 * (mean.shape[-1] - 1) / (mean * lost).sum(-1, keepdim=True)
    a = total * mean
    diffuse = total < 1e4
    a = torch.where(diffuse, a.clamp(min=1e-3), a)
    best = log_density_log(a, mean_log)
    for _ in range(_MOST_STEPS):
        slope = mean_log - a.digamma() + a.sum(-1, keepdim=True).digamma()
        bend, total_bend = torch.polygamma(1, a), torch.polygamma(1, a.sum(-1, keepdim=True))
        shared = (slope / bend).sum(-1, keepdim=True) / (1 / total_bend - (1 / bend).sum(-1, keepdim=True))
        step = torch.where(diffuse, (slope + shared) / bend, 0.0)
        scale = torch.ones_like(total)
        for _ in range(60):
            trial = a + scale * step
            value = log_density_log(trial.clamp(min=1e-300), mean_log)
            better = (trial > 0).all(-1) & (value >= best - 1e-12 * best.abs())
            if bool(better.all()):
                break
            scale = torch.where(better[..., None], scale, 0.5 * scale)
        a, best = torch.where(better[..., None], trial, a), torch.where(better, value, best)
        if bool((~better | ((scale * step).abs() <= 1e-6 * a).all(-1)).all()):
            break
    return a


def _refine(a: Tensor, mean: Tensor, lost: Tensor) -> Tensor:
    """Newton's method for u and log A, to the last digits."""
    log_total = a.sum(-1, keepdim=True).log()
    u = torch.where(log_total < math.log(1e4), a.log() - log_total - mean.log(), 0.0)
    for _ in range(_MOST_STEPS):
        total = log_total.exp()
        a = total * mean * u.exp()
        p = mean * u.exp()
        gap = u - _log_less_digamma(a) + _log_less_digamma(total) + lost
        bend, total_bend = _bend(a), _bend(total)
        off = (mean * torch.expm1(u)).sum(-1, keepdim=True) - (p * gap / (1 + bend)).sum(-1, keepdim=True)
        rise = off / (p * (bend - total_bend) / (1 + bend)).sum(-1, keepdim=True)
        step = -(gap + (bend - total_bend) * rise) / (1 + bend)
        # far from the solution the logs go at most so far in one step
        shrink = (2 / torch.maximum(rise.abs(), step.abs().amax(-1, keepdim=True)).clamp(min=2.0)).detach()
        log_total, u = log_total + shrink * rise, u + shrink * step
        # a part in 10^14 of the precision, and of the means relative to the spread that the precision leaves
        small = (rise.abs() <= 1e-14) & ((step.abs() * total.clamp(min=1).sqrt()).amax(-1, keepdim=True) <= 1e-14)
        if bool(small.all()):
            break
    return (log_total + u).exp() * mean


def _log_less_digamma(x: Tensor) -> Tensor:
    return 0.5 / x - stirling_slope(x)


def _bend(x: Tensor) -> Tensor:
    """x trigamma(x) - 1, positive, falling like 1/(2x)."""
    large = x >= 16
    high, low = torch.where(large, x, 16.0), torch.where(large, 1.0, x)
    inverse = high.reciprocal()
    series = inverse * (0.5 + inverse * horner(_TRIGAMMA, inverse * inverse))
    return torch.where(large, series, low * torch.polygamma(1, low) - 1)
