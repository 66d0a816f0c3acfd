"""Kullback-Leibler divergences in closed form, registered with torch's `kl_divergence`."""

import torch
from torch import Tensor
from torch.distributions import register_kl

from ..special import (
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
from .spherical.power_spherical import PowerSpherical
from .spherical.rotational import AroundLoc
from .spherical.spherical_uniform import SphericalUniform
from .spherical.von_mises_fisher import VonMisesFisher

__all__: list[str] = []


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
