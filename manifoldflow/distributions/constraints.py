"""Constraints on parameters and points that torch and Pyro lack."""

from typing import Any

import numpy as np
import torch
from pyro.distributions.constraints import sphere
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..checks import as_tensor, describe

__all__ = [
    "OnSpace",
    "as_parameter",
    "beside_loc",
    "check_floating",
    "check_vector",
    "expectation",
    "finding",
    "finite_nonnegative",
    "finite_positive",
    "finite_positive_vector",
    "finite_symmetric",
    "finite_vector",
    "joint_batch",
    "last_size",
]


class _FiniteNonnegative(Constraint):
    """Numbers in [0, inf): unlike torch's `nonnegative`, infinity is refused."""

    words = "finite numbers >= 0"

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FiniteNonnegative()"


class _FinitePositive(Constraint):
    """Numbers in (0, inf)."""

    words = "positive finite numbers"

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FinitePositive()"


class _FinitePositiveVector(Constraint):
    """Vectors of numbers in (0, inf)."""

    event_dim = 1
    words = "vectors of positive finite numbers"

    def check(self, value: Tensor) -> Tensor:
        return ((value > 0) & torch.isfinite(value)).all(-1)

    def __repr__(self) -> str:
        return "FinitePositiveVector()"


class _FiniteVector(Constraint):
    """Vectors of finite numbers."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return value.isfinite().all(-1)

    def __repr__(self) -> str:
        return "FiniteVector()"


class _FiniteSymmetric(Constraint):
    """Symmetric matrices of finite numbers; how far from symmetric is taken relative to the largest entry."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        finite = value.isfinite().flatten(-2).all(-1)
        value = value.detach()
        size = value.abs().flatten(-2).amax(-1)
        return finite & ((value - value.mT).abs().flatten(-2).amax(-1) <= 64 * torch.finfo(value.dtype).eps * size)

    def __repr__(self) -> str:
        return "FiniteSymmetric()"


class OnSpace(Constraint):
    """Points of a space, by its own `belongs` and the tolerance that it has for the dtype.

    `manifoldflow.inference` registers it with `biject_to` and `transform_to`.
    """

    event_dim = 1

    def __init__(self, space: Manifold) -> None:
        self.space = space

    def check(self, value: Tensor) -> Tensor:
        return self.space.belongs(value)

    def __repr__(self) -> str:
        return f"OnSpace({self.space!r})"


def beside_loc(name: str, value: Tensor | float, loc: Tensor, *, keep: bool = False) -> tuple[Tensor, torch.Size]:
    """One number a distribution and its joint batch shape with `loc` (*batch, n); in the dtype of `loc`, unless kept.

    Raises:
        TypeError: No real numbers.
        ValueError: Its shape does not broadcast with that of the batch, or it is on another device.
    """
    value = as_parameter(name, value, loc)
    value = value if keep else value.to(loc.dtype)
    if value.device != loc.device and value.dim():
        raise ValueError(f"{name}: expected device {loc.device} as of loc, got {value.device}; move one of them")
    try:
        return value, torch.broadcast_shapes(loc.shape[:-1], value.shape)
    except RuntimeError:
        raise ValueError(
            f"{name}: expected a shape that broadcasts with {tuple(loc.shape[:-1])}, the batch shape of loc, "
            f"got {tuple(value.shape)}"
        ) from None


def joint_batch(p: Distribution, q: Distribution) -> torch.Size:
    """The batch shape of a divergence, or a ValueError if the events differ in shape."""
    if p.event_shape != q.event_shape:
        raise ValueError(f"q: expected event shape {tuple(p.event_shape)}, that of p, got {tuple(q.event_shape)}")
    return torch.broadcast_shapes(p.batch_shape, q.batch_shape)


def last_size(x: Tensor) -> int:
    """The size of the last dimension as an int: torch.jit.trace makes sizes tensors."""
    return len(x.unbind(-1)) if torch.jit.is_tracing() else x.shape[-1]


def as_parameter(name: str, value: Any, loc: Tensor | None = None) -> Tensor:
    """A tensor as it was given; a number, an integer too, or an array in the dtype of `loc` or torch's default.

    Raises:
        TypeError: No real numbers.
        ValueError: A tensor on the meta device.
    """
    if isinstance(value, Tensor):
        check_floating(name, value, integers=True)
        return value
    dtype = torch.get_default_dtype() if loc is None else loc.dtype
    device = None if loc is None else loc.device
    if type(value) in (float, int):  # what torch's compiler can follow
        return torch.tensor(float(value), dtype=dtype, device=device)
    return as_tensor(name, value, dtype=dtype, device=device).to(dtype)


def check_floating(name: str, value: Any, *, integers: bool = False) -> None:
    """Raise unless `value` is a floating-point tensor with values; integer parameters would round every draw.

    Raises:
        TypeError: No tensor, or complex numbers.
        ValueError: Integers, unless they are allowed, or a tensor on the meta device.
    """
    if not isinstance(value, Tensor):
        fix = "call torch.as_tensor first" if isinstance(value, (np.ndarray, list, tuple, float, int)) else "convert it"
        raise TypeError(f"{name}: expected a floating-point tensor, got {describe(value)}; {fix}")
    if value.is_complex() or (value.dtype == torch.bool and integers):
        raise TypeError(f"{name}: expected real numbers, got {describe(value)}")
    if not value.is_floating_point() and not integers:
        raise ValueError(f"{name}: expected floating-point numbers, got {value.dtype}; call {name}.float() first")
    if value.is_meta:
        raise ValueError(f"{name}: expected a tensor with values, got {describe(value)}")


def check_vector(name: str, value: Any, least: int, size: str = "n") -> None:
    """The same, and the shape `(*batch, n)` with n >= `least`."""
    if isinstance(value, Tensor) and (value.dim() < 1 or last_size(value) < least):
        raise ValueError(f"{name}: expected shape (*batch, {size}) with {size} >= {least}, got {tuple(value.shape)}")
    check_floating(name, value)


def expectation(constraint: Constraint) -> str:
    """What the constraint asks for, in words."""
    if constraint is sphere:
        return "unit vectors"
    return getattr(constraint, "words", None) or f"values within {constraint!r}"


def finding(constraint: Constraint, value: Tensor) -> str:
    """What came instead, and the fix."""
    if constraint is sphere and bool(value.isfinite().all()):
        return f"norm {float(torch.linalg.vector_norm(value)):.6g}, normalise it first,"
    return f"{value.item():g}" if value.dim() == 0 else _listed(value)


def _listed(value: Tensor) -> str:
    return f"{[round(v, 4) for v in value.tolist()]}" if value.numel() <= 6 else f"a vector of {value.numel()} entries"


finite_nonnegative = _FiniteNonnegative()
finite_positive = _FinitePositive()
finite_positive_vector = _FinitePositiveVector()
finite_symmetric = _FiniteSymmetric()
finite_vector = _FiniteVector()
