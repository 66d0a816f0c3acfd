"""What paths share: checks of points and times, sums of points, pinned end points, and derivatives by time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...checks import as_tensor, check_integer, describe
from ...manifolds import is_eager
from ...manifolds.rows import load_forward_mode

__all__ = [
    "as_points",
    "check_base_shape",
    "check_event_dim",
    "check_times",
    "check_vector_of_times",
    "decoded",
    "forward_derivative",
    "in_one_line",
    "pair_of_points",
    "pin",
    "product_is_exact",
    "reverse_velocity",
    "two_point_sum",
    "velocity_of",
    "weighted_sum",
]


def in_one_line(thing: Any, **settings: Any) -> str:
    """The repr of something by its settings."""
    return f"{type(thing).__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"


def as_points(name: str, value: Any, event_dim: int) -> Tensor:
    """`value` (tensor, array or nested list) as a finite floating tensor with `event_dim` event dimensions.

    Arrays may be read-only, big-endian or of negative strides. Tensors and arrays of integers are refused: pixels are
    encoded first.
    """
    kind = getattr(value, "dtype", None)
    if kind is not None and not (kind.is_floating_point if isinstance(value, Tensor) else kind.kind == "f"):
        raise ValueError(
            f"{name}: expected floating-point coordinates, got {describe(value)}; convert with .to(torch.float32), or "
            "encode images first"
        )
    points = value if isinstance(value, Tensor) and not value.is_meta else as_tensor(name, value)
    if points.ndim < event_dim:
        raise ValueError(
            f"{name}: expected at least {event_dim} dimensions (event_dim={event_dim}), got shape "
            f"{tuple(points.shape)}; add the missing ones or lower event_dim"
        )
    if points.shape[-1] == 0:
        raise ValueError(f"{name}: expected points of at least one coordinate, got shape {tuple(points.shape)}")
    if is_eager() and not bool(points.detach().isfinite().all()):
        rows = points.detach().reshape(-1, max(1, points.shape[points.ndim - event_dim :].numel()))
        row = int((~rows.isfinite().all(-1)).nonzero()[0])
        raise ValueError(f"{name}: expected finite coordinates, got NaN or infinity at row {row}; remove it first")
    return points


def check_event_dim(event_dim: int) -> None:
    """Raise unless `event_dim` is a whole number of at least 1, numpy's included."""
    try:
        check_integer("event_dim", event_dim)
    except ValueError as error:
        raise ValueError(f"{error}; use 1 for vectors and 3 for images of shape (channels, height, width)") from None


def pair_of_points(start: Any, end: Any, event_dim: int) -> tuple[Tensor, Tensor]:
    """Both end points as tensors of one shape `(*batch, *event)`; batches broadcast, events must agree."""
    check_event_dim(event_dim)
    first, last = as_points("start", start, event_dim), as_points("end", end, event_dim)
    if first.dtype != last.dtype or first.device != last.device:
        raise ValueError(
            f"end: expected the dtype and device of start ({first.dtype} on {first.device}), got {last.dtype} "
            f"on {last.device}; convert with end.to(start)"
        )
    events = first.shape[first.ndim - event_dim :], last.shape[last.ndim - event_dim :]
    try:
        if events[0] != events[1]:
            raise RuntimeError
        shape = torch.broadcast_shapes(first.shape, last.shape)
    except RuntimeError:
        raise ValueError(
            f"end: expected a shape that matches start's {tuple(first.shape)} (equal last {event_dim}, the others "
            f"broadcasting), got {tuple(last.shape)}"
        ) from None
    return first.expand(shape), last.expand(shape)


def check_times(t: Tensor, like: Tensor, *, increasing: bool = False) -> Tensor:
    """Times as a tensor of `like`'s dtype and device, of shape `(m,)` or `(*batch, m)`, inside [0, 1]."""
    times = as_tensor("t", t, dtype=like.dtype, device=like.device).to(like)
    if times.ndim == 0:
        raise ValueError("t: expected times of shape (m,), got a single number; pass torch.tensor([t])")
    if times.numel() and is_eager():
        seen = times.detach()
        if not bool(((seen >= 0) & (seen <= 1)).all()):
            wrong = seen[~((seen >= 0) & (seen <= 1))].flatten()[0].item()
            raise ValueError(f"t: expected times in [0, 1], got {wrong:g}; a path is not continued past its ends")
        if increasing and not bool((seen.diff(dim=-1) > 0).all()):
            raise ValueError("t: expected strictly increasing times, got unsorted or repeated ones; sort them first")
    return times


def check_vector_of_times(times: Tensor) -> Tensor:
    """Checked times again, unless there are others for every pair."""
    if times.ndim != 1:
        raise ValueError(f"t: expected shape (m,), got {tuple(times.shape)}")
    return times


def check_base_shape(name: str, event_shape: torch.Size, base: Any) -> None:
    """Raise unless points of `event_shape` end in the event shape of `base`; they would broadcast with it."""
    own = tuple(getattr(base, "event_shape", ()))
    if own and tuple(event_shape[len(event_shape) - len(own) :]) != own:
        raise ValueError(
            f"{name}: expected points of the base's event shape {own}, got {tuple(event_shape)}; pass another base"
        )


def decoded(decode: Callable[[Tensor], Tensor] | None, points: Tensor, event_dim: int) -> Tensor:
    """`decode` applied to all points `(*leading, *event)` at once as one batch `(rows, *event)`."""
    if decode is None:
        return points
    leading = points.shape[: points.ndim - event_dim]
    result = decode(points.reshape(-1, *points.shape[points.ndim - event_dim :]))
    if not isinstance(result, Tensor):
        result = as_tensor("decode", result)
    if result.shape[:1] != (leading.numel(),):
        raise ValueError(
            f"decode: expected one output per latent ({leading.numel()} rows), got shape {tuple(result.shape)}"
        )
    return result.reshape(*leading, *result.shape[1:])


def product_is_exact(points: Tensor) -> bool:
    """Whether a matrix product with `points` keeps their digits: 1 x + 0 y is x. Not asked while compiling."""
    return is_eager() and points.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"


def weighted_sum(weights: Tensor, points: Tensor, event_dim: int) -> Tensor:
    """Sums over k: weights `(*batch, m, k)` and points `(*batch, k, *event)` give `(*batch, m, *event)`.

    On CPUs a matrix product writes the output once, where a multiplication and an addition pass over it three
    times. A matrix product is not used where the caller has allowed it to round its factors (TensorFloat-32,
    bfloat16): end points would come back with three digits.
    """
    event = points.shape[points.ndim - event_dim :]
    flat = points.flatten(points.ndim - event_dim)
    if product_is_exact(points):
        total = weights @ flat
    else:
        total = weights[..., :1] * flat[..., :1, :]
        for k in range(1, weights.shape[-1]):
            total = torch.addcmul(total, weights[..., k : k + 1], flat[..., k : k + 1, :])
    return total.unflatten(-1, event) if event_dim > 1 else total


def two_point_sum(first: Tensor, last: Tensor, start: Tensor, end: Tensor, event_dim: int) -> Tensor:
    """`first * start + last * end` with weights `(*batch, m)` or `(m,)` and points `(*batch, *event)`."""
    axis = start.ndim - event_dim
    return weighted_sum(torch.stack([first, last], -1), torch.stack([start, end], axis), event_dim)


def pin(points: Tensor, t: Tensor, start: Tensor, end: Tensor, event_dim: int) -> Tensor:
    """`points` `(*batch, m, *event)` with `start` where t = 0 and `end` where t = 1.

    `points` must be fresh: it is written in place where no derivative is recorded, which saves two passes
    over it.
    """
    axis = points.ndim - event_dim - 1
    if t.ndim == 1 and is_eager() and not points.requires_grad:
        points = points.contiguous()  # a metric may return an expanded view
        for time, fixed in ((0, start), (1, end)):
            for index in (t == time).nonzero().flatten().tolist():
                points.select(axis, index).copy_(fixed)
        return points
    at = t.reshape(*t.shape, *[1] * event_dim)
    points = torch.where(at == 0, start.unsqueeze(axis), points)
    return torch.where(at == 1, end.unsqueeze(axis), points)


def forward_derivative(function: Callable[[Tensor], Tensor], point: Tensor, direction: Tensor) -> Tensor:
    """Derivative of `function` at `point` along `direction`, by forward mode; itself differentiable."""
    load_forward_mode()
    return torch.func.jvp(function, (point,), (direction,))[1]


def velocity_of(curve: Callable[[Tensor], Tensor], times: Tensor) -> Tensor:
    """Derivative of every point of `curve` by its own time, by forward mode."""
    return forward_derivative(curve, times, torch.ones_like(times))


def reverse_velocity(curve: Callable[[Tensor], Tensor], times: Tensor) -> Tensor:
    """The same for curves whose inner functions know their reverse derivative only; cut from the graph.

    A double reverse pass turns the transposed product round: the gradient of <J^T v, 1> in v is J 1.
    """
    with torch.enable_grad():
        wanted = times.detach().requires_grad_()
        points = curve(wanted)
        seed = torch.zeros_like(points, requires_grad=True)
        (back,) = torch.autograd.grad(points, wanted, seed, create_graph=True)
        (velocity,) = torch.autograd.grad(back.sum(), seed)
    return velocity
