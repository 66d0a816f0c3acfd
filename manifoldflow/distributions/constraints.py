"""Constraints on parameters and points that torch and Pyro lack."""

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold

__all__ = ["OnSpace", "finite_nonnegative", "finite_positive_vector"]


class _FiniteNonnegative(Constraint):
    """Numbers in [0, inf): unlike torch's `nonnegative`, infinity is refused."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FiniteNonnegative()"


class _FinitePositiveVector(Constraint):
    """Vectors of numbers in (0, inf)."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value > 0) & torch.isfinite(value)).all(-1)

    def __repr__(self) -> str:
        return "FinitePositiveVector()"


class OnSpace(Constraint):
    """Points of a space, by its own `belongs` and the tolerance that it has for the dtype."""

    event_dim = 1

    def __init__(self, space: Manifold) -> None:
        self.space = space

    def check(self, value: Tensor) -> Tensor:
        return self.space.belongs(value)

    def __repr__(self) -> str:
        return f"OnSpace({self.space!r})"


finite_nonnegative = _FiniteNonnegative()
finite_positive_vector = _FinitePositiveVector()
