"""Constraints whose tolerance follows the dtype and the dimension.

torch's own simplex constraint allows the coordinates to sum to one within 1e-6, which at 12,289
coordinates rejects most exact float32 softmaxes. For spheres Pyro's `constraints.sphere` is used.
"""

import torch
from pyro.distributions.constraints import sphere
from torch import Tensor
from torch.distributions import biject_to, transform_to
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import Transform

__all__ = ["Simplex", "sphere"]


class Simplex(Constraint):
    """Nonnegative vectors of `dim` + 1 coordinates that sum to one, within 10 eps sqrt(dim + 1)."""

    event_dim = 1

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def check(self, value: Tensor) -> Tensor:
        size = value.shape[-1]
        off = (value.sum(-1, dtype=torch.float64) - 1).abs()
        close = off < 10 * torch.finfo(value.dtype).eps * size**0.5
        return (value >= 0).all(-1) & close & (size == self.dim + 1)

    def __repr__(self) -> str:
        return f"Simplex({self.dim})"


@biject_to.register(Simplex)
def _biject_to_simplex(constraint: Simplex) -> Transform:
    from .simplex import StickBreaking  # the charts of the simplex name this constraint as their codomain

    return StickBreaking(constraint.dim)


@transform_to.register(Simplex)
def _transform_to_simplex(constraint: Simplex) -> Transform:
    return torch.distributions.SoftmaxTransform()
