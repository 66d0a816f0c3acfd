"""Constraints on parameters and points that torch and Pyro lack."""

import torch
from torch import Tensor
from torch.distributions import biject_to, transform_to
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..charts import Chart, default_chart

__all__ = [
    "OnSpace",
    "beside_loc",
    "check_floating",
    "finite_nonnegative",
    "finite_positive",
    "finite_positive_vector",
    "finite_symmetric",
    "finite_vector",
]


class _FiniteNonnegative(Constraint):
    """Numbers in [0, inf): unlike torch's `nonnegative`, infinity is refused."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FiniteNonnegative()"


class _FinitePositive(Constraint):
    """Numbers in (0, inf)."""

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FinitePositive()"


class _FinitePositiveVector(Constraint):
    """Vectors of numbers in (0, inf)."""

    event_dim = 1

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

    Registered with `biject_to` and `transform_to` through the space's default chart.
    """

    event_dim = 1

    def __init__(self, space: Manifold) -> None:
        self.space = space

    def check(self, value: Tensor) -> Tensor:
        return self.space.belongs(value)

    def __repr__(self) -> str:
        return f"OnSpace({self.space!r})"


@biject_to.register(OnSpace)
@transform_to.register(OnSpace)
def _to_space(constraint: OnSpace) -> Chart:
    return default_chart(constraint.space)


def beside_loc(name: str, value: Tensor | float, loc: Tensor) -> tuple[Tensor, torch.Size]:
    """One number a distribution, in the dtype and on the device of `loc` (*batch, n), and the joint batch shape.

    Raises:
        ValueError: Its shape does not broadcast with that of the batch.
    """
    value = torch.as_tensor(value, dtype=loc.dtype, device=loc.device)
    try:
        return value, torch.broadcast_shapes(loc.shape[:-1], value.shape)
    except RuntimeError:
        raise ValueError(
            f"{name}: expected a shape that broadcasts with {tuple(loc.shape[:-1])}, the batch shape of loc, "
            f"got {tuple(value.shape)}"
        ) from None


def check_floating(name: str, value: Tensor) -> None:
    """Raise ValueError unless `value` is of a floating-point dtype; integer parameters would round every draw."""
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected floating-point numbers, got {value.dtype}; call {name}.float() first")


finite_nonnegative = _FiniteNonnegative()
finite_positive = _FinitePositive()
finite_positive_vector = _FinitePositiveVector()
finite_symmetric = _FiniteSymmetric()
finite_vector = _FiniteVector()
