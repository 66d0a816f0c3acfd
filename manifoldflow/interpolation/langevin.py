"""Langevin bridges: the diffusion of a prior, guided to its end point, with the weight that corrects the guide."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._arguments import check_times, decoded, pair_of_points
from .kernels import _positive
from .polyline import Polyline

__all__ = ["LangevinBridge", "WeightedPaths"]


@dataclass(frozen=True)
class WeightedPaths:
    """Simulated paths with their importance weights.

    Attributes:
        times: `(m,)`.
        points: `(samples, *batch, m, *event)`.
        log_weight: Log-density of the wanted law of paths relative to the simulated one, up to a constant for each
            entry of the batch; `(samples, *batch)`.
        event_dim: Number of dimensions of one point.
    """

    times: Tensor
    points: Tensor
    log_weight: Tensor
    event_dim: int = 1

    @property
    def weights(self) -> Tensor:
        """Weights that sum to 1 over the samples, `(samples, *batch)`."""
        return self.log_weight.softmax(0)

    @property
    def effective_sample_size(self) -> Tensor:
        """1 / sum of squared weights (Kish), between 1 and the number of samples; `(*batch,)`."""
        return torch.exp(2 * self.log_weight.logsumexp(0) - (2 * self.log_weight).logsumexp(0))

    def mean(self) -> Tensor:
        """Weighted mean path, `(*batch, m, *event)`."""
        weights = self.weights.reshape(*self.weights.shape, *[1] * (self.event_dim + 1))
        return (weights * self.points).sum(0)

    def resample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """`count` paths drawn by their weights, `(count, *batch, m, *event)`: draws from the wanted law as samples
        grow.
        """
        weights = self.weights.flatten(1) if self.weights.ndim > 1 else self.weights[:, None]
        drawn = torch.multinomial(weights.T, count, replacement=True, generator=generator).T
        flat = self.points.reshape(len(self.points), weights.shape[1], -1)
        picked = flat.gather(0, drawn[..., None].expand(-1, -1, flat.shape[-1]))
        return picked.reshape(count, *self.points.shape[1:])

    def path(self) -> Polyline:
        """The simulated paths, straight between their times."""
        return Polyline(self.points, self.times, event_dim=self.event_dim)


class LangevinBridge:
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
        self.score = score
        self.horizon = _positive("horizon", horizon)
        if isinstance(rate, bool) or not 0 <= rate < math.inf:
            raise ValueError(f"rate: expected a nonnegative finite number, got {rate!r}")
        self.rate = float(rate)
        self.centre = torch.as_tensor(centre, dtype=self.start.dtype, device=self.start.device)
        self.event_dim = event_dim

    def guide(self, x: Tensor, remaining: float) -> Tensor:
        """Gradient by x of the log-density of reaching the end after `remaining` time, under the auxiliary process."""
        decay = math.exp(-self.rate * remaining)
        # (1 - e^{-2 theta tau}) / theta, which tends to 2 tau.
        variance = 2 * remaining if self.rate == 0 else -math.expm1(-2 * self.rate * remaining) / self.rate
        return decay / variance * (self.end - self.centre - (x - self.centre) * decay)

    def simulate(
        self,
        t: Tensor,
        samples: int = 1,
        *,
        substeps: int = 10,
        generator: torch.Generator | None = None,
    ) -> WeightedPaths:
        """Paths at times `t`, by Euler-Maruyama steps of the diffusion's time.

        Args:
            t: Strictly increasing times `(m,)` that begin with 0 and end with 1.
            samples: Number of paths for each entry of the batch.
            substeps: Steps between two neighbouring times; the discretisation error falls as their inverse.
            generator: Source of randomness.

        The last step of all goes to the end point itself.
        """
        times = check_times(t, torch.empty((), dtype=torch.float64), increasing=True)
        if times.ndim != 1 or len(times) < 2 or float(times[0]) != 0 or float(times[-1]) != 1:
            raise ValueError("t: expected at least two increasing times that begin with 0 and end with 1")
        for name, value in (("samples", samples), ("substeps", substeps)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
        x = self.start.expand(samples, *self.start.shape).clone()
        log_weight = x.new_zeros(x.shape[: x.ndim - self.event_dim], dtype=torch.float64)
        points = [x]
        for low, high in zip(times[:-1].tolist(), times[1:].tolist()):
            step = (high - low) * self.horizon / substeps
            for i in range(substeps):
                now = low * self.horizon + i * step
                if high == 1 and i == substeps - 1:
                    x = self.end.expand(x.shape).clone()
                    break
                guide = self.guide(x, self.horizon - now)
                own = -x if self.score is None else decoded(self.score, x, self.event_dim)
                auxiliary = -self.rate * (x - self.centre)
                log_weight += step * ((own - auxiliary) * guide).flatten(log_weight.ndim).sum(-1).double()
                noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
                x = x + step * (own + 2 * guide) + math.sqrt(2 * step) * noise
            points.append(x)
        stacked = torch.stack(points, x.ndim - self.event_dim)
        return WeightedPaths(times.to(x), stacked, log_weight, self.event_dim)

    def sample(
        self,
        t: Tensor,
        sample_shape: Sequence[int] = (),
        *,
        substeps: int = 10,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Simulated paths `(*sample_shape, *batch, m, *event)`, without their weights."""
        shape = torch.Size(sample_shape)
        paths = self.simulate(t, shape.numel(), substeps=substeps, generator=generator)
        return paths.points.reshape(*shape, *paths.points.shape[1:])
