"""Bridges on the hypersphere and the simplex: Brownian motion tied to its end, and noise around the geodesic."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ... import manifolds
from ...manifolds import sphere_kernels
from ...manifolds.rows import safe_sqrt
from ..paths.points import pair_of_points
from .kernels import _positive
from .simulated import SimulatedBridge

__all__ = ["SphereBrownianBridge"]


class SphereBrownianBridge(SimulatedBridge):
    r"""Brownian motion (generator half the Laplacian) on the unit sphere or the simplex, tied to both end points.

    Simulated by geodesic steps with the drift of a guide u in place of the heat kernel, the leading term of its
    expansion,

    .. math:: u(x, \tau) = \tau^{-d/2} \Big(\frac{r}{\sin r}\Big)^{(d-1)/2} e^{-r^2/(2\tau)}, \qquad
        \nabla\log u = \log_x(y) \Big(\frac1\tau - \frac{d-1}{2r}\big(\frac1r - \cot r\big)\Big),

    r the distance to the end y and :math:`\tau = T - t`, and weighted by :math:`\int (\partial_t + \tfrac12\Delta) u /
    u\, dt`,

    .. math:: \frac{(\partial_t + \tfrac12\Delta)u}{u} = \frac{(d-1)^2}{8}
        + \frac{(d-1)(d-3)}{8}\Big(\frac1{r^2} - \frac1{\sin^2 r}\Big),

    which stays bounded while the path is away from the end's antipode; on S^3 it is constant, since u is the heat
    kernel there but for windings. Paths end in `end` exactly.

    Args:
        space: `Hypersphere` (on the circle without windings), or `Simplex` with the Fisher-Rao metric: its roots move
            on a sphere of radius 2, and a path that leaves the orthant is folded back (reflected at the boundary); the
            end is then reached as itself, not as one of its mirror images.
        start: Points `(*batch, n)`.
        end: Points, same shape.
        horizon: Length T of the time axis in units of the metric: over a short time s it moves by sqrt(d s).

    Raises:
        OffManifoldError: A point is off the space.
        CutLocusError: The end points are antipodal.

    Reference: Delyon and Hu, Simulation of conditioned diffusion, 2006; Jensen and Sommer, Simulation of conditioned
    diffusions on Riemannian manifolds, 2021, for the guide without the volume factor.
    """

    def __init__(self, space: Any, start: Any, end: Any, *, horizon: float = 1.0) -> None:
        self.start, self.end = pair_of_points(start, end, 1)
        self.folded = isinstance(space, manifolds.Simplex) and space.metric_name == "fisher_rao"
        if not (self.folded or isinstance(space, manifolds.Hypersphere)):
            raise ValueError(
                f"space: expected a Hypersphere or a Simplex with the Fisher-Rao metric, got {space!r}; on flat "
                f"spaces use GaussianProcessBridge"
            )
        manifolds.check_points(space, start=self.start, end=self.end)
        self.space = space
        self.like = self.start
        self.batch_shape, self.event_shape = self.start.shape[:-1], self.start.shape[-1:]
        # The sphere of radius 2 in time T is the unit sphere in time T / 4.
        self.horizon = _positive("horizon", horizon) / (4 if self.folded else 1)
        self._from, self._to = self.start, self.end
        if self.folded:
            self._from, self._to = _unit(safe_sqrt(self.start)), _unit(safe_sqrt(self.end))
        # Raises at antipodes.
        manifolds.Hypersphere(self._from.shape[-1] - 1).metric.log(self._to, base_point=self._from)

    def _simulate(
        self, times: list[float], samples: int, substeps: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        x = self._from.expand(samples, *self._from.shape)
        end = self._to.expand(x.shape)
        log_weight = x.new_zeros(x.shape[:-1], dtype=torch.float64)
        points = [self.start.expand(samples, *self.start.shape)]
        for low, high in pairwise(times):
            step = (high - low) * self.horizon / substeps
            for i in range(substeps):
                if high == 1 and i == substeps - 1:  # the last step goes to the end point itself
                    break
                remaining = (1 - low) * self.horizon - i * step
                towards, _ = sphere_kernels.log(x, end)
                excess, potential = _volume_terms(sphere_kernels.angle(x, end)[..., None], x.shape[-1] - 1)
                log_weight += step * potential[..., 0].double()
                noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
                noise = noise - (noise * x).sum(-1, keepdim=True) * x
                x = sphere_kernels.exp(step * (1 / remaining - excess) * towards + math.sqrt(step) * noise, x)
            points.append(self.end.expand(points[0].shape) if high == 1 else (x.square() if self.folded else x))
        return torch.stack(points, -2), log_weight


def _unit(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def _volume_terms(r: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """(d-1)/(2r) (1/r - cot r), and the rate of the log-weight; their power series near r = 0, where they cancel."""
    near = r < 0.1
    small, wide = torch.where(near, r, 0).square(), torch.where(near, 1, r)
    # 1/r^2 - cot(r)/r = 1/3 + r^2/45 + 2 r^4/945 + ..., 1/r^2 - 1/sin^2 r = -1/3 - r^2/15 - 2 r^4/189 - ...
    sine = wide.sin().clamp_min(1e-3)  # a path near the antipode leaves it again by noise; its drift must stay finite
    bend = torch.where(
        near, 1 / 3 + small * (1 / 45 + small * (2 / 945)), wide.square().reciprocal() - wide.cos() / (wide * sine)
    )
    gap = torch.where(
        near, -1 / 3 - small * (1 / 15 + small * (2 / 189)), wide.square().reciprocal() - sine.square().reciprocal()
    )
    return (d - 1) / 2 * bend, (d - 1) ** 2 / 8 + (d - 1) * (d - 3) / 8 * gap
