"""Kullback-Leibler divergences in closed form, registered with torch's `kl_divergence`."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Dirichlet as TorchDirichlet
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence, register_kl

from ..manifolds import Euclidean
from ..special import (
    digamma_difference,
    log1p_excess,
    log_sphere_area,
    vmf_divergence,
    vmf_log_partition,
    vmf_log_peak,
    vmf_mean_length,
    vmf_mean_length_complement,
)
from ._dirichlet import divergence
from .dirichlet import Dirichlet
from .gaussian import Gaussian
from .in_chart import InChart
from .spherical.power_spherical import PowerSpherical
from .spherical.rotational import AroundLoc
from .spherical.spherical_uniform import SphericalUniform
from .spherical.von_mises_fisher import VonMisesFisher
from .wrapped_normal import WrappedNormal

__all__: list[str] = []

_RULE = tuple(torch.from_numpy(0.5 * v) for v in np.polynomial.legendre.leggauss(96))
_RULE = (_RULE[0] + 0.5, _RULE[1])


def _check_shapes(p: torch.distributions.Distribution, q: torch.distributions.Distribution) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(f"q: expected event shape {tuple(p.event_shape)}, that of p, got {tuple(q.event_shape)}")


def _expand(value: Tensor, p: torch.distributions.Distribution, q: torch.distributions.Distribution) -> Tensor:
    return value.expand(torch.broadcast_shapes(p.batch_shape, q.batch_shape))


def _tilt(p: AroundLoc, q: AroundLoc) -> Tensor:
    """1 - mu_p.mu_q without cancellation, float64."""
    difference = p.loc.double() - q.loc.double()
    return 0.5 * (difference * difference).sum(-1)


@register_kl(VonMisesFisher, VonMisesFisher)
def _vmf_vmf(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    """E_p[log p] - E_p[log q], both relative to the uniform distribution, the second from the mode of q."""
    _check_shapes(p, q)
    n, kappa_p, kappa_q = p.ambient_dim, p.concentration.double(), q.concentration.double()
    # 1 - E_p[mu_q.s]
    gap = vmf_mean_length_complement(kappa_p, n) + vmf_mean_length(kappa_p, n) * _tilt(p, q)
    return (vmf_divergence(kappa_p, n) - vmf_log_peak(kappa_q, n) + kappa_q * gap).to(p.loc.dtype)


@register_kl(VonMisesFisher, SphericalUniform)
def _vmf_uniform(p: VonMisesFisher, q: SphericalUniform) -> Tensor:
    _check_shapes(p, q)
    return _expand(vmf_divergence(p.concentration, p.ambient_dim), p, q)


@register_kl(SphericalUniform, VonMisesFisher)
def _uniform_vmf(p: SphericalUniform, q: VonMisesFisher) -> Tensor:
    _check_shapes(p, q)
    return vmf_log_partition(q.concentration, q.ambient_dim).expand(
        torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    )


@register_kl(PowerSpherical, SphericalUniform)
def _power_uniform(p: PowerSpherical, q: SphericalUniform) -> Tensor:
    _check_shapes(p, q)
    return _expand((log_sphere_area(p.ambient_dim) - p._entropy64()).to(p.loc.dtype), p, q)


@register_kl(PowerSpherical, VonMisesFisher)
def _power_vmf(p: PowerSpherical, q: VonMisesFisher) -> Tensor:
    _check_shapes(p, q)
    n, kappa_p, kappa_q = p.ambient_dim, p.concentration.double(), q.concentration.double()
    complement = (n - 1) / (kappa_p + (n - 1))
    gap = complement + (1 - complement) * _tilt(p, q)  # 1 - E_p[mu_q.s]
    value = log_sphere_area(n) - p._entropy64() - vmf_log_peak(kappa_q, n) + kappa_q * gap
    return value.to(p.loc.dtype)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet_dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    _check_shapes(p, q)
    return divergence(p.concentration.double(), q.concentration.double()).to(p.concentration.dtype)


@register_kl(Gaussian, Gaussian)
def _gaussian_gaussian(p: Gaussian, q: Gaussian) -> Tensor:
    _check_shapes(p, q)
    ratio = (p.scale / q.scale).square()
    shift = ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + shift - 1 - ratio.log()).sum(-1)


@register_kl(SphericalUniform, SphericalUniform)
def _uniform_uniform(p: SphericalUniform, q: SphericalUniform) -> Tensor:
    _check_shapes(p, q)
    return _expand(torch.zeros((), dtype=p._dtype, device=p.entropy().device), p, q)


@register_kl(SphericalUniform, PowerSpherical)
def _uniform_power(p: SphericalUniform, q: PowerSpherical) -> Tensor:
    _check_shapes(p, q)
    half = torch.tensor(0.5 * (q.ambient_dim - 1), dtype=torch.float64, device=q.loc.device)
    missing = digamma_difference(half, half)  # -E[log((1 + mu.s) / 2)]
    value = q.concentration.double() * missing - q._log_mode() - log_sphere_area(q.ambient_dim)
    return _expand(value.to(q.loc.dtype), p, q)


@register_kl(PowerSpherical, PowerSpherical)
def _power_power(p: PowerSpherical, q: PowerSpherical) -> Tensor:
    """In closed form about one mean direction, by quadrature over both angles between two."""
    _check_shapes(p, q)
    kappa_q, tilt = q.concentration.double(), _tilt(p, q)
    a, b = p._beta()
    along = digamma_difference(a, torch.tensor(b, device=a.device))
    missing = torch.where(tilt == 0, along, mean_missing(p.concentration.double(), tilt, p.ambient_dim))
    return (kappa_q * missing - q._log_mode() - p._entropy64()).to(p.loc.dtype)


def mean_missing(kappa: Tensor, tilt: Tensor, n: int) -> Tensor:
    """-E_p[log((1 + nu.s) / 2)] of a power spherical law whose mean mu has 1 - mu.nu = `tilt`, float64.

    With u uniform on [0, 2 pi) or its law in n dimensions, nu.s = cos(t) cos(alpha) + sin(t) sin(alpha) cos(u), t the
    angle to mu: one Gauss-Legendre sum over where both have their mass.
    """
    kappa, tilt = torch.broadcast_tensors(kappa, tilt)
    x, w = (v.to(kappa.device) for v in _RULE)
    # The angle's density, (1 + cos t)^kappa sin^(n-2) t, is a bump of this width about its mode.
    width = (kappa + 0.5 * n).rsqrt()
    mode = 2 * torch.atan(((n - 2) / (n - 2 + 2 * kappa).clamp(min=1e-300)).sqrt())
    low, high = (mode - 12 * width).clamp(min=0), (mode + 12 * width).clamp(max=math.pi)
    t = low[..., None] + (high - low)[..., None] * x
    log_mass = 2 * kappa[..., None] * torch.cos(0.5 * t).log() + (n - 2) * torch.sin(t).log()
    mass = w * (log_mass - log_mass.amax(-1, keepdim=True)).exp()
    mass = mass / mass.sum(-1, keepdim=True)
    if n == 2:
        u, share = torch.tensor([0.0, math.pi]).to(t), torch.tensor([0.5, 0.5]).to(t)
    else:
        reach = min(0.5 * math.pi, 12 / math.sqrt(n - 2))
        u = 0.5 * math.pi + reach * (2 * x - 1)
        share = w * torch.sin(u) ** (n - 3)
        share = share / share.sum()
    sine = (0.5 * tilt * (1 - 0.5 * tilt)).clamp(min=0).sqrt()  # sin(alpha) / 2
    across = torch.sin(t)[..., None] * sine[..., None, None] * u.cos()
    # (1 + nu.s)/2 = cos^2(t/2) - tilt cos(t)/2 + sin(t) sin(alpha) cos(u)/2
    half = torch.cos(0.5 * t).square() - 0.5 * tilt[..., None] * torch.cos(t)
    return -(mass * (share * (half[..., None] + across).clamp(min=1e-300).log()).sum(-1)).sum(-1)


@register_kl(WrappedNormal, WrappedNormal)
def _wrapped_wrapped(p: WrappedNormal, q: WrappedNormal) -> Tensor:
    """On flat spaces, where it is that of Gaussians; on others there is no closed form."""
    _check_shapes(p, q)
    flat = isinstance(p.space, Euclidean) or getattr(p.space, "metric_name", "") == "aitchison"
    if not flat or repr(p.space) != repr(q.space):
        raise NotImplementedError(f"no closed form on {p.space!r}; estimate it from draws")
    square, ratio = p.space.metric.squared_dist(p.loc, q.loc).double(), (p.scale / q.scale).double()
    spread = 0.5 * (log1p_excess((ratio - 1) * (ratio + 1), 2 * ratio.log()))
    return (p.space.dim * spread + 0.5 * square / q.scale.double().square()).to(p.loc.dtype)


@register_kl(InChart, InChart)
def _in_chart_in_chart(p: InChart, q: InChart) -> Tensor:
    """That of the bases, in one chart."""
    if p.chart != q.chart:
        raise NotImplementedError(f"no closed form between {p.chart!r} and {q.chart!r}; use one chart")
    return kl_divergence(p.base, q.base)


def _as_multivariate(law: Gaussian) -> MultivariateNormal:
    return MultivariateNormal(law.loc, scale_tril=torch.diag_embed(law.scale), validate_args=False)


def _as_gaussian(law: Independent) -> Gaussian:
    normal = law.base_dist
    if not isinstance(normal, Normal) or law.reinterpreted_batch_ndims != 1:
        raise NotImplementedError(f"expected an Independent Normal over one dimension, got {law!r}")
    return Gaussian(normal.loc, normal.scale, validate_args=False)


@register_kl(Gaussian, Independent)
def _gaussian_independent(p: Gaussian, q: Independent) -> Tensor:
    return kl_divergence(p, _as_gaussian(q))


@register_kl(Independent, Gaussian)
def _independent_gaussian(p: Independent, q: Gaussian) -> Tensor:
    return kl_divergence(_as_gaussian(p), q)


@register_kl(Gaussian, MultivariateNormal)
def _gaussian_multivariate(p: Gaussian, q: MultivariateNormal) -> Tensor:
    _check_shapes(p, q)
    return kl_divergence(_as_multivariate(p), q)


@register_kl(MultivariateNormal, Gaussian)
def _multivariate_gaussian(p: MultivariateNormal, q: Gaussian) -> Tensor:
    _check_shapes(p, q)
    return kl_divergence(p, _as_multivariate(q))


@register_kl(Dirichlet, TorchDirichlet)
def _dirichlet_torch(p: Dirichlet, q: TorchDirichlet) -> Tensor:
    return _dirichlet_dirichlet(p, Dirichlet(q.concentration, validate_args=False))


@register_kl(TorchDirichlet, Dirichlet)
def _torch_dirichlet(p: TorchDirichlet, q: Dirichlet) -> Tensor:
    return _dirichlet_dirichlet(Dirichlet(p.concentration, validate_args=False), q)
