"""End points put back exactly, for methods that go through a map and its inverse."""

import torch
from torch import Tensor

from ..manifolds import is_eager

__all__ = ["pin"]


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
