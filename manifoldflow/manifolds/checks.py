"""Checks of points and tangent vectors where they enter the library: once, with the argument and the row named."""

from functools import partial

from torch import Tensor

from .._geomstats import Manifold
from ..errors import OffManifoldError
from .adapter import flattened
from .metric import rows_of
from .space import Space, tolerance
from .tracing import is_eager

__all__ = ["check_points", "check_tangent"]


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
    _check_kind(space, points)
    if not is_eager():
        return
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
                f"call {_name(space)}.projection({name}) first"
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
    _check_kind(space, {"base_point": base_point, **vectors})
    if not is_eager():
        return
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


def _check_kind(space: Manifold, arrays: dict[str, Tensor]) -> None:
    """Types, shapes, dtypes and devices: what can be checked without looking at a value."""
    first: tuple[str, Tensor] | None = None
    for name, array in arrays.items():
        if not isinstance(array, Tensor) or not array.is_floating_point():
            kind = array.dtype if isinstance(array, Tensor) else type(array).__name__
            raise TypeError(f"{name}: expected a floating-point tensor, got {kind}; convert it first")
        if array.shape[max(0, array.ndim - len(space.shape)) :] != space.shape:
            raise OffManifoldError(
                f"{name}: expected points of {_name(space)}, shape (*batch, {', '.join(map(str, space.shape))}), "
                f"got shape {tuple(array.shape)}"
            )
        if first is None:
            first = name, array
        elif array.dtype != first[1].dtype:
            raise OffManifoldError(
                f"{name}: expected dtype {first[1].dtype} as of {first[0]}, got {array.dtype}; convert one of them"
            )
        elif array.device != first[1].device:
            raise OffManifoldError(
                f"{name}: expected device {first[1].device} as of {first[0]}, got {array.device}; move one of them"
            )


def _has_nan(space: Manifold, array: Tensor) -> Tensor:
    return array.isnan().flatten(array.ndim - len(space.shape)).any(-1)


def _foreign_finding(point: Tensor) -> str:
    return "points off it"


def _name(space: Manifold) -> str:
    return repr(space) if isinstance(space, Space) else type(space).__name__
