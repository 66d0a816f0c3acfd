"""Gaussian-process bridges between two points, and walks from one or from none."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ._arguments import as_points, check_event_dim, pair_of_points
from .gaussian_process import GaussianProcessPaths
from .kernels import Kernel

__all__ = ["GaussianProcessBridge", "GaussianProcessWalk"]


class GaussianProcessBridge(GaussianProcessPaths):
    r"""The process between two points.

    With k the kernel, :math:`k_t = k(tT)`, mean and covariance at times t and s are

    .. math:: \frac{z_0 (k_t - k_{1-t} k_1) + z_1 (k_{1-t} - k_t k_1)}{1 - k_1^2}, \qquad
        k_{t-s} - \frac{k_s k_t + k_{1-s} k_{1-t} - k_1 (k_s k_{1-t} + k_{1-s} k_t)}{1 - k_1^2}.

    Args:
        start: Points :math:`z_0` `(*batch, *event)` at t = 0.
        end: Points :math:`z_1` at t = 1; equal end points are legal.
        kernel: See `GaussianProcessPaths`; Ornstein-Uhlenbeck with rate 1 by default.
        horizon: Length T of the time axis: T -> 0 gives the straight line, a large T forgets the ends.
        event_dim: Number of dimensions of one point.

    Reference: Interpolation in auto encoders with bridge processes (poster, KTH).
    """

    def __init__(
        self,
        start: Any,
        end: Any,
        *,
        kernel: Kernel | Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        first, last = pair_of_points(start, end, event_dim)
        points = torch.stack([first, last], first.ndim - event_dim)
        super().__init__(points, kernel=kernel, horizon=horizon, event_dim=event_dim)


class GaussianProcessWalk(GaussianProcessPaths):
    """The stationary process itself, or the process from one point.

    Args:
        start: Points `(*batch, *event)` at t = 0; None for none.
        event_shape: Shape of one point, if there is no start.
        batch_shape: Shape of the batch of independent walks, if there is no start.
        dtype: Type of the samples, if there is no start; None for torch's default.
        device: Device of the samples, if there is no start.
        kernel: See `GaussianProcessPaths`.
        horizon: Length T of the time axis.
        event_dim: Number of dimensions of one point, if there is a start.
    """

    def __init__(
        self,
        start: Any = None,
        *,
        event_shape: Sequence[int] | None = None,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        kernel: Kernel | Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        if (start is None) == (event_shape is None):
            raise ValueError("start: expected either start or event_shape, got both or neither")
        if event_shape is not None:
            points = torch.empty(*batch_shape, 0, *event_shape, dtype=dtype, device=device)
            event_dim = len(event_shape)
        else:
            check_event_dim(event_dim)
            points = as_points("start", start, event_dim)
            points = points.unsqueeze(points.ndim - event_dim)
        super().__init__(points, kernel=kernel, horizon=horizon, event_dim=event_dim)
