"""Polynomials, and Stirling's series: differences of log-gammas at neighbouring arguments, without cancellation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import as_tensor, check_broadcast, check_tensors

__all__ = ["STIRLING", "digamma_difference", "horner", "log_gamma_ratio", "sides"]

# Stirling's series, sum of B_2k / (2k (2k - 1) x^(2k - 1)); from 16 on, these reach the last bit of float64.
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_LARGE = 16.0


def horner(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """The polynomial in x with these coefficients, from the constant up."""
    value = torch.full_like(x, coefficients[-1])
    in_place = not torch.is_grad_enabled()
    for coefficient in reversed(coefficients[:-1]):
        value = value.mul_(x).add_(coefficient) if in_place else value * x + coefficient
    return value


def sides(below: Tensor) -> tuple[bool, bool]:
    """Whether any entry is true, and whether any is false, so that a branch can go; both where no value can be read."""
    if below.is_meta or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True, True
    if torch._C._are_functorch_transforms_active() or below.device.type != "cpu" or below.numel() > 10_000:
        return True, True
    some = bool(below.any())
    return some, not some or not bool(below.all())


def _series(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    return horner(coefficients, 1 / (x * x))


def _both(a: Tensor, b: Tensor) -> list[Tensor]:
    check_tensors({"a": a})
    b = as_tensor("b", b, device=a.device)
    check_broadcast({"a": a.shape, "b": b.shape})
    return list(torch.broadcast_tensors(a.double(), b.double()))


def log_gamma_ratio(a: Tensor, b: Tensor) -> Tensor:
    """log Gamma(a + b) - log Gamma(a) for a > 0, b >= 0; shapes broadcast; float64 inside, dtype of `a`."""
    x, y = _both(a, b)
    large = x >= _LARGE
    safe = torch.where(large, x, _LARGE)
    rest = _series(safe + y, STIRLING) / (safe + y) - _series(safe, STIRLING) / safe
    stirling = (safe - 0.5) * torch.log1p(y / safe) + y * torch.log(safe + y) - y + rest
    low = torch.where(large, 1.0, x)
    return torch.where(large, stirling, torch.lgamma(low + y) - torch.lgamma(low)).to(a.dtype)


def digamma_difference(a: Tensor, b: Tensor) -> Tensor:
    """digamma(a + b) - digamma(a) for a > 0, b >= 0; shapes broadcast; float64 inside, dtype of `a`."""
    x, y = _both(a, b)
    large = x >= _LARGE
    safe = torch.where(large, x, _LARGE)
    slopes = tuple((2 * k + 1) * c for k, c in enumerate(STIRLING))
    rest = _series(safe, slopes) / safe.square() - _series(safe + y, slopes) / (safe + y).square()
    stirling = torch.log1p(y / safe) + 0.5 * y / (safe * (safe + y)) + rest
    low = torch.where(large, 1.0, x)
    return torch.where(large, stirling, torch.digamma(low + y) - torch.digamma(low)).to(a.dtype)
