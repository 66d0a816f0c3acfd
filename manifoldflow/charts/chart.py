"""What every chart is: a bijection R^d -> manifold, with the log-volume of the manifold's measure."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Self

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from .._geomstats import Manifold
from ..checks import check_integer, check_tensors, fit
from ..manifolds import Euclidean

__all__ = ["Chart", "Identity", "default_chart"]


class Chart(Transform):
    r"""A bijection from chart coordinates z in R^d, shape `(*batch, d)`, onto a manifold, `(*batch, n)`.

    Attributes:
        dim: d, the dimension of the manifold.
        ambient_dim: n, the number of coordinates of its points.

    `log_abs_det_jacobian` is :math:`\tfrac12 \log\det J^T J` relative to the manifold's reference
    measure, so that for a density p of points, p(chart(z)) times its exponential is a density on R^d.
    """

    bijective = True
    domain = constraints.real_vector
    sign = 1

    def __init__(self, dim: int, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.dim = check_integer("dim", dim)

    @property
    def ambient_dim(self) -> int:
        return self.dim

    def log_volume(self, z: Tensor) -> Tensor:
        """Log of the volume that the chart gives a unit cube at `z`: `(*batch, d)` to `(*batch,)`."""
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """`log_volume(x)`; `y` is not used."""
        return self.log_volume(x)

    def with_cache(self, cache_size: int = 1) -> Self:
        """The chart itself, or a copy that caches."""
        return self if cache_size == self._cache_size else type(self)(self.dim, cache_size=cache_size)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return _replace_last(shape, self.dim, self.ambient_dim, self)

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return _replace_last(shape, self.ambient_dim, self.dim, self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.dim == other.dim

    def __hash__(self) -> int:
        return hash((type(self), self.dim))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dim})"


def check_last(name: str, value: Tensor, expected: int, chart: Chart) -> None:
    """Raise unless `value` is a floating-point tensor whose last dimension is `expected`."""
    if not fit((value,), (expected,)):
        check_tensors({name: value}, (expected,), of=chart)


def _replace_last(shape: Sequence[int], expected: int, new: int, chart: Chart) -> torch.Size:
    if len(shape) < 1 or shape[-1] != expected:
        raise ValueError(f"shape: expected (*batch, {expected}) for {chart!r}, got {tuple(shape)}")
    return torch.Size((*shape[:-1], new))


class Identity(Chart):
    """R^d as its own chart, with zero log-volume."""

    codomain = constraints.real_vector

    def log_volume(self, z: Tensor) -> Tensor:
        check_last("z", z, self.dim, self)
        return z.new_zeros(z.shape[:-1])

    def _call(self, z: Tensor) -> Tensor:
        check_last("z", z, self.dim, self)
        return z

    def _inverse(self, s: Tensor) -> Tensor:
        check_last("s", s, self.dim, self)
        return s


@singledispatch
def default_chart(space: Manifold) -> Chart:
    """The chart of a Euclidean space, a sphere (stereographic) or a simplex (additive log-ratio).

    Each chart's own file registers it for its kind of space, and so may a caller.

    Raises:
        ValueError: The space is of another kind.
    """
    raise ValueError(f"space: expected a Euclidean space, a Hypersphere or a Simplex, got {space!r}; give a chart")


@default_chart.register
def _chart_of_flat_space(space: Euclidean) -> Identity:
    return Identity(space.dim)
