"""What every space shares: membership by dtype, and checks of points and tangent vectors that name argument and row."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import check_integer, check_tensors, check_values, describe, is_eager
from ..errors import OffManifoldError
from .adapter import flattened
from .metric import TorchMetric, checked_doors, rows_of

__all__ = ["Space", "check_points", "check_space", "check_tangent", "tolerance"]


def tolerance(dtype: torch.dtype) -> float:
    """How far off a manifold a point of this dtype may be: 1e-9 in float64, 1e-5 in float32, 1e-2 in shorter ones."""
    return {torch.float64: 1e-9, torch.float32: 1e-5}.get(dtype, 1e-2)


class Space:
    """Mixin for geomstats spaces. Subclasses say how far off a point is and how that reads.

    Points and vectors are checked at the door of every public method, as a metric's are. NaN and infinity are off every
    space; `projection` and `to_tangent` return NaN in their rows only.
    """

    dim: int
    shape: tuple[int, ...]
    metric: TorchMetric
    tangent_everywhere = False  # whether the tangent vectors are the same at every point
    remedy = ""  # what brings a point onto the space, for an error message, where there is a word for it

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        checked_doors(cls)

    @property
    def _point_shape(self) -> tuple[int, ...]:
        return self.shape

    def off(self, point: Tensor) -> Tensor:
        """How far `(*batch,)` each point is off the manifold; NaN where a coordinate is NaN."""
        raise NotImplementedError

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """How far `(*batch,)` each vector is from tangent, relative to its norm where that exceeds 1."""
        raise NotImplementedError

    def expectation(self) -> str:
        """What a point satisfies, for an error message: "unit norm"."""
        raise NotImplementedError

    def finding(self, point: Tensor) -> str:
        """What one point `(n,)` has instead, for an error message: "norm 2.0000"."""
        raise NotImplementedError

    def tangent_expectation(self) -> str:
        """What a tangent vector satisfies, for an error message."""
        raise NotImplementedError

    def belongs(self, point: Tensor, atol: float | None = None) -> Tensor:
        """Whether each point is on the manifold, shape `(*batch,)`; `atol` is by dtype unless given."""
        check_tensors({"point": point})
        if point.shape[-1:] != self.shape:
            return torch.zeros(point.shape[:-1], dtype=torch.bool, device=point.device)
        return self.off(point) <= (tolerance(point.dtype) if atol is None else atol)

    def is_tangent(self, vector: Tensor, base_point: Tensor | None = None, atol: float | None = None) -> Tensor:
        """Whether each vector is tangent at `base_point`, shape `(*batch,)`; `atol` is by dtype unless given.

        Raises:
            ValueError: No `base_point`, where tangent vectors depend on it.
        """
        check_tensors({"vector": vector})
        batch = vector.shape[:-1]
        if base_point is None and not self.tangent_everywhere:
            raise ValueError(f"base_point: expected points, on which the tangent vectors of {self!r} depend, got None")
        if base_point is not None:
            check_tensors({"vector": vector, "base_point": base_point}, (None,), of=repr(self))
            batch = torch.broadcast_shapes(batch, base_point.shape[:-1])
        if vector.shape[-1:] != self.shape:
            return torch.zeros(batch, dtype=torch.bool, device=vector.device)
        off = self.off_tangent(vector, vector if base_point is None else base_point)
        return (off <= (tolerance(vector.dtype) if atol is None else atol)).expand(batch)

    def regularize(self, point: Tensor) -> Tensor:
        """The point itself: coordinates are unique."""
        return point

    def random_tangent_vec(
        self, base_point: Tensor, n_samples: int = 1, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """A standard normal vector of the ambient space, made tangent at `base_point`.

        Shape `(n_samples, n)`; that of `base_point` for one sample.
        """
        check_tensors({"base_point": base_point}, self.shape, of=self)
        batch = _batch(n_samples)
        try:
            shape = torch.broadcast_shapes(batch + self.shape, base_point.shape)
        except RuntimeError:
            raise ValueError(
                f"n_samples: expected 1 or a number that fits base_point {tuple(base_point.shape)}, got {n_samples}"
            ) from None
        noise = torch.randn(shape, dtype=base_point.dtype, device=base_point.device, generator=generator)
        return self.to_tangent(noise, base_point)

    def to_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """The tangent vector `(*batch, n)` nearest to `vector`."""
        raise NotImplementedError

    def projection(self, point: Tensor) -> Tensor:
        """The nearest point `(*batch, n)` of the space."""
        raise NotImplementedError

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Random points `(n_samples, n)`, or `(n,)` for one sample; `bound`, from geomstats, has no use here."""
        raise NotImplementedError

    @property
    def log_volume(self) -> float:
        """Log of the Riemannian volume of the whole space; infinity where it has none."""
        return math.inf

    @property
    def volume(self) -> float:
        """Riemannian volume of the whole space: infinity where it has none, 0.0 where it underflows."""
        return math.exp(self.log_volume) if self.log_volume < 709 else math.inf

    def _normal(self, n_samples: int, **options: Any) -> Tensor:
        """Standard normal `(n_samples, n)`, or `(n,)` for one sample as in geomstats."""
        dtype = options.get("dtype")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype: expected a floating-point torch.dtype, got {describe(dtype)}")
        try:
            return torch.randn(_batch(n_samples) + self.shape, **options)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device, generator: expected an available device and its generator ({error})") from error


def _batch(n_samples: int) -> tuple[int, ...]:
    """No batch dimension for one sample, as in geomstats."""
    count = check_integer("n_samples", n_samples, 0)
    return () if count == 1 else (count,)


def check_space(space: Any) -> None:
    """Raise unless this is a geomstats space with a metric."""
    if not isinstance(space, Manifold) or getattr(space, "metric", None) is None:
        raise TypeError(
            f"space: expected a geomstats space with a metric, such as Hypersphere(2), got {describe(space)}"
        )


def check_points(space: Manifold, **points: Tensor) -> None:
    """Raise unless every named tensor holds points of `space`.

    Args:
        space: Any geomstats space.
        **points: Tensors `(*batch, *space.shape)`, named as the caller's arguments are.

    Raises:
        TypeError: Not a floating-point tensor.
        OffManifoldError: A wrong last dimension, mixed dtypes or devices, NaN, or a point off the manifold by more than
            its dtype allows. Values are looked at in eager execution only.
    """
    check_space(space)
    check_tensors(points, space.shape, of=f"points of {_name(space)}", broadcast=False)
    if not is_eager():
        return
    check_values(**points)
    remedy = space.remedy if isinstance(space, Space) else ""
    for name, point in points.items():
        atol = tolerance(point.dtype)
        if isinstance(space, Space):
            off = ~(space.off(point.detach()) <= atol)
            wanted, found = space.expectation(), space.finding
        else:
            off = ~flattened(partial(space.belongs, atol=atol), space.shape, (), point.detach()).bool()
            off = off | _has_nan(space, point)
            wanted, found = "its belongs() to hold", _foreign_finding
        if bool(off.any()):
            row = point.detach()[off][0]
            got = "NaN" if bool(row.isnan().any()) else found(row)
            raise OffManifoldError(
                f"{name}: expected points on {_name(space)} ({wanted}, atol={atol:g}), got {got} at {rows_of(off)}; "
                f"{remedy}call {_name(space)}.projection({name}){'' if remedy else ' first'}"
            )


def check_tangent(space: Manifold, base_point: Tensor, **vectors: Tensor) -> None:
    """Raise unless every named tensor holds tangent vectors at `base_point`.

    Args:
        space: Any geomstats space.
        base_point: Points `(*batch, *space.shape)`, not checked themselves.
        **vectors: Tensors `(*batch, *space.shape)`, named as the caller's arguments are.

    Raises:
        TypeError: Not a floating-point tensor.
        OffManifoldError: A wrong last dimension, mixed dtypes or devices, NaN, or a vector that is not tangent.
    """
    check_space(space)
    check_tensors({"base_point": base_point, **vectors}, space.shape, of=f"points of {_name(space)}")
    if not is_eager():
        return
    check_values(base_point=base_point, **vectors)
    for name, vector in vectors.items():
        atol = tolerance(vector.dtype)
        if isinstance(space, Space):
            off = ~(space.off_tangent(vector.detach(), base_point.detach()) <= atol)
            wanted = space.tangent_expectation()
        else:
            test = partial(space.is_tangent, atol=atol)
            off = ~flattened(test, space.shape, (), vector.detach(), base_point.detach()).bool()
            off = off | _has_nan(space, vector)
            wanted = "its is_tangent() to hold"
        if bool(off.any()):
            raise OffManifoldError(
                f"{name}: expected tangent vectors of {_name(space)} ({wanted}, atol={atol:g}), got others at "
                f"{rows_of(off)}; call {_name(space)}.to_tangent({name}, base_point) first"
            )


def _has_nan(space: Manifold, array: Tensor) -> Tensor:
    return array.isnan().flatten(array.ndim - len(space.shape)).any(-1)


def _foreign_finding(point: Tensor) -> str:
    return "points off it"


def _name(space: Manifold) -> str:
    return repr(space) if isinstance(space, Space) else type(space).__name__
