"""Bridges that are simulated step by step, and the weights that make their samples exact."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..paths.path import Polyline
from ..paths.points import check_times
from .bridge import Bridge

__all__ = ["SimulatedBridge", "WeightedPaths"]


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

    def __repr__(self) -> str:
        return f"WeightedPaths(points={tuple(self.points.shape)}, event_dim={self.event_dim})"

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


class SimulatedBridge(Bridge):
    """A bridge simulated from its start to its end in small steps."""

    @abstractmethod
    def _simulate(
        self, times: list[float], samples: int, substeps: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Points `(samples, *batch, m, *event)` and log-weights `(samples, *batch)`."""

    def simulate(
        self, t: Tensor, samples: int = 1, *, substeps: int = 10, generator: torch.Generator | None = None
    ) -> WeightedPaths:
        """Paths at times `t` with their weights.

        Args:
            t: Strictly increasing times `(m,)` that begin with 0 and end with 1.
            samples: Number of paths for each entry of the batch.
            substeps: Steps between two neighbouring times; the discretisation error falls as their inverse.
            generator: Source of randomness.
        """
        times = check_times(t, torch.empty((), dtype=torch.float64), increasing=True)
        if times.ndim != 1 or len(times) < 2 or float(times[0]) != 0 or float(times[-1]) != 1:
            raise ValueError("t: expected at least two increasing times that begin with 0 and end with 1")
        for name, value in (("samples", samples), ("substeps", substeps)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
        points, log_weight = self._simulate(times.tolist(), samples, substeps, generator)
        return WeightedPaths(times.to(points), points, log_weight, len(self.event_shape))

    def _sample(
        self, t: Tensor, sample_shape: torch.Size, generator: torch.Generator | None, chunk: int | None
    ) -> Tensor:
        """Simulated paths with ten substeps, without their weights; `simulate` gives both."""
        if not len(t):
            return self.like.new_empty(*sample_shape, *self.batch_shape, 0, *self.event_shape)
        # A simulation runs from end to end, whichever of its times are asked for.
        before, after = t[:1][t[:1] > 0] * 0, t[-1:][t[-1:] < 1] * 0 + 1
        whole = torch.cat([before, t, after])
        count = sample_shape.numel()
        size = max(1, (chunk or count) // max(1, self.batch_shape.numel())) if chunk else max(1, count)
        parts = [
            self.simulate(whole, min(size, count - done), generator=generator).points.narrow(
                1 + len(self.batch_shape), len(before), len(t)
            )
            for done in range(0, count, size)
        ]
        if not parts:
            return self.like.new_empty(*sample_shape, *self.batch_shape, len(t), *self.event_shape)
        return torch.cat(parts).reshape(*sample_shape, *self.batch_shape, len(t), *self.event_shape)
