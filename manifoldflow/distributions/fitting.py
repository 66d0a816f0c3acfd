"""What every `fit` shares: points and weights, checked, as float64 with weights that sum to one."""

from typing import Any

import torch
from pyro.distributions.constraints import sphere
from torch import Tensor

from .constraints import check_floating

__all__ = ["refuse_coinciding", "unit_vectors", "weighted", "weighted_mean"]


def weighted(points: Any, weights: Any = None, *, least: int = 2) -> tuple[Tensor, Tensor]:
    """Points `(*batch, m, n)` and weights `(*batch, m)` that sum to one, both float64.

    Args:
        points: m points of each batch.
        weights: Nonnegative numbers of a shape that broadcasts to `(*batch, m)`; equal if None.
        least: The smallest n that is accepted.

    Raises:
        TypeError: Not tensors of real numbers.
        ValueError: No points, or a weight that is negative or not finite, or all of a batch are zero.
    """
    if not isinstance(points, Tensor):
        raise TypeError(f"points: expected a tensor, got {type(points).__name__}; call torch.as_tensor(points) first")
    if points.dim() < 2 or points.shape[-2] < 1 or points.shape[-1] < least:
        raise ValueError(f"points: expected shape (*batch, m, n), m >= 1, n >= {least}, got {tuple(points.shape)}")
    check_floating("points", points)
    x = points.double()
    if weights is None:
        return x, torch.full_like(x[..., 0], 1 / x.shape[-2])
    try:
        w = torch.as_tensor(weights, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"weights: expected a tensor of numbers, got {type(weights).__name__}") from None
    if w.is_complex():
        raise TypeError(f"weights: expected real numbers, got {w.dtype}")
    try:
        w = w.double().expand(x.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"weights: expected a shape that broadcasts to {tuple(x.shape[:-1])}, got {tuple(w.shape)}"
        ) from None
    total = w.sum(-1, keepdim=True)
    if bool((w < 0).any()) or not bool(((total > 0) & total.isfinite()).all()):
        raise ValueError("weights: expected nonnegative finite numbers, not all zero in a batch")
    return x, w / total


def weighted_mean(x: Tensor, w: Tensor) -> Tensor:
    """The mean `(*batch, n)` of points `(*batch, m, n)`, taken about one of them: close points keep their digits."""
    centre = x[..., :1, :]
    return centre[..., 0, :] + (w[..., None, :] @ (x - centre))[..., 0, :]


def unit_vectors(points: Tensor, weights: Any = None) -> tuple[Tensor, Tensor]:
    """As `weighted`, for points on a sphere, which are normalised anew: float32 norms are off by some 1e-8."""
    x, w = weighted(points, weights)
    if not bool(sphere.check(points).all()):
        raise ValueError("points: expected unit vectors, got points off the sphere; normalise them first")
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True), w


def refuse_coinciding(spread: Tensor, what: str = "directions") -> None:
    """Raise ValueError where a batch has no spread: its likelihood has no maximum."""
    if bool((spread == 0).any()):
        raise ValueError(
            f"points: expected at least two different {what}, got coinciding points: the likelihood grows "
            "without bound as the distribution narrows"
        )
