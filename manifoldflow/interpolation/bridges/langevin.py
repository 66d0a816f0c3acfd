"""Langevin bridges: the diffusion of a prior, guided to its end point, with the weight that corrects the guide."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ...checks import as_tensor
from ...manifolds import is_eager
from ..paths.points import decoded, pair_of_points
from .kernels import _is_real, _positive
from .simulated import SimulatedBridge

__all__ = ["LangevinBridge"]


class LangevinBridge(SimulatedBridge):
    r"""The Langevin diffusion :math:`dX = \nabla\log p(X)\,dt + \sqrt2\,dW` of a prior p, tied to both end points.

    Simulated by guided proposals: the drift gets the score of the end point under an auxiliary Ornstein-Uhlenbeck
    process with drift :math:`-\theta (x - m)`,

    .. math:: g(x, t) = 2 e^{-\theta\tau} \frac{z_1 - m - (x - m) e^{-\theta\tau}}{v(\tau)}, \qquad
        v(\tau) = \frac{1 - e^{-2\theta\tau}}{\theta}, \quad \tau = T - t,

    and every path gets the log-weight :math:`\int \big(\nabla\log p(X) + \theta(X - m)\big) \cdot \tfrac12 g(X, t)\,
    dt`. Paths end in :math:`z_1` exactly. For the standard normal, whose diffusion the auxiliary one is, all weights
    are 1 and the bridge is the Gaussian-process bridge with kernel exp(-|h|), which samples it without a time step.

    Args:
        start: Points :math:`z_0` `(*batch, *event)`.
        end: Points :math:`z_1`, same shape.
        score: Gradient of the log-density of the prior, from `(rows, *event)` to the same; None for the standard
            normal.
        horizon: Length T of the diffusion's time.
        rate: :math:`\theta \ge 0` of the auxiliary process; 0 guides by a Brownian motion.
        centre: m of the auxiliary process, a number or a tensor that broadcasts with a point.
        event_dim: Number of dimensions of one point.

    References: Schauer, van der Meulen, van Zanten, Guided proposals for simulating multi-dimensional diffusion
    bridges, Bernoulli 2017, theorem 1; Interpolation in auto encoders with bridge processes (poster, KTH), for the
    standard normal.
    """

    def __init__(
        self,
        start: Any,
        end: Any,
        *,
        score: Callable[[Tensor], Tensor] | None = None,
        horizon: float = 1.0,
        rate: float = 1.0,
        centre: Tensor | float = 0.0,
        event_dim: int = 1,
    ) -> None:
        self.start, self.end = pair_of_points(start, end, event_dim)
        self.like = self.start
        axis = self.start.ndim - event_dim
        self.batch_shape, self.event_shape = self.start.shape[:axis], self.start.shape[axis:]
        self.score = score
        self.horizon = _positive("horizon", horizon)
        if not _is_real(rate) or not 0 <= rate < math.inf:
            raise ValueError(f"rate: expected a nonnegative finite number, got {rate!r}")
        self.rate = float(rate)
        self.centre = as_tensor("centre", centre, dtype=self.start.dtype, device=self.start.device).to(self.start)
        sizes = zip(reversed(self.centre.shape), reversed(self.event_shape))
        if self.centre.ndim > event_dim or any(size not in (1, whole) for size, whole in sizes):
            raise ValueError(
                f"centre: expected a number or a tensor that broadcasts with a point of shape "
                f"{tuple(self.event_shape)}, got shape {tuple(self.centre.shape)}"
            )
        self.event_dim = event_dim

    def guide(self, x: Tensor, remaining: float) -> Tensor:
        """Gradient by x of the log-density of reaching the end after `remaining` time, under the auxiliary process."""
        decay = math.exp(-self.rate * remaining)
        # (1 - e^{-2 theta tau}) / theta, which tends to 2 tau.
        variance = 2 * remaining if self.rate == 0 else -math.expm1(-2 * self.rate * remaining) / self.rate
        return decay / variance * (self.end - self.centre - (x - self.centre) * decay)

    def _score(self, x: Tensor) -> Tensor:
        if self.score is None:
            return -x
        own = decoded(self.score, x, self.event_dim)
        if own.shape != x.shape:
            raise ValueError(
                f"score: expected a gradient of the shape of a point, {tuple(self.event_shape)}, for every row, got "
                f"{tuple(own.shape[x.ndim - self.event_dim :])}"
            )
        return own

    def _simulate(
        self, times: list[float], samples: int, substeps: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        x = self.start.expand(samples, *self.start.shape).clone()
        log_weight = x.new_zeros(x.shape[: x.ndim - self.event_dim], dtype=torch.float64)
        points = [x]
        for low, high in pairwise(times):
            step = (high - low) * self.horizon / substeps
            for i in range(substeps):
                if high == 1 and i == substeps - 1:  # the last step goes to the end point itself
                    x = self.end.expand(x.shape)
                    break
                guide = self.guide(x, (1 - low) * self.horizon - i * step)
                own = self._score(x)
                auxiliary = -self.rate * (x - self.centre)
                log_weight += step * ((own - auxiliary) * guide).flatten(log_weight.ndim).sum(-1).double()
                noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
                x = x + step * (own + 2 * guide) + math.sqrt(2 * step) * noise
            points.append(x)
        if is_eager() and not bool(log_weight.isfinite().all()):
            raise ValueError(
                "score: paths have left the finite numbers; take more substeps, or check the score where they go"
            )
        return torch.stack(points, x.ndim - self.event_dim), log_weight
