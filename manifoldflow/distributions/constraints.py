"""Parameter constraints that torch and Pyro lack."""

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

__all__ = ["finite_nonnegative"]


class _FiniteNonnegative(Constraint):
    """Numbers in [0, inf): unlike torch's `nonnegative`, infinity is refused."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & torch.isfinite(value)

    def __repr__(self) -> str:
        return "FiniteNonnegative()"


finite_nonnegative = _FiniteNonnegative()
