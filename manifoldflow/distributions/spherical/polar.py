"""What spheres know of laws that are symmetric about a mean: the angle to it, and the direction away from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...manifolds.sphere_kernels import angle_of, any_direction
from ...special import log_ndtri
from ..lifts import Lift, spread

__all__ = ["AroundMean", "Direction", "OnCircle"]


@dataclass(frozen=True, repr=False)
class Direction(Lift):
    """The uniform distribution on a sphere, nothing but a direction; or the direction of a Gaussian in R^n.

    Args:
        direction_dim: n.
        scale_tril: Of that Gaussian, `(*batch, n, n)`; None for the uniform distribution.
    """

    direction_dim: int
    scale_tril: Tensor | None = None

    def normals(self, size: int) -> int:
        return 0

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        if self.scale_tril is None:
            return points[..., :0], points
        white = torch.linalg.solve_triangular(self.scale_tril, points[..., None], upper=False)[..., 0]
        return points[..., :0], white / torch.linalg.vector_norm(white, dim=-1, keepdim=True)

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        assert direction is not None
        if self.scale_tril is None:
            return direction
        along = (self.scale_tril @ direction[..., None])[..., 0]
        return along / torch.linalg.vector_norm(along, dim=-1, keepdim=True)

    def spread(self, count: int = 1) -> Lift:
        return self if self.scale_tril is None else Direction(self.direction_dim, spread(self.scale_tril, 2, count))


@dataclass(frozen=True, repr=False)
class AroundMean(Lift):
    """Symmetric about a mean on S^{n-1}, n > 2: the angle to the mean, Gaussianised, and the direction away from it.

    Args:
        loc: The mean `(*batch, n)`.
        parameter: Of the law of the angle, `(*batch,)`.
        law: From a parameter to that law, which has `to_normal` and `from_normal`.
    """

    loc: Tensor
    parameter: Tensor
    law: Callable[[Tensor], Any]

    @property
    def direction_dim(self) -> int:  # type: ignore[override]
        return self.loc.shape[-1] - 1

    def normals(self, size: int) -> int:
        return 1

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        loc = self.loc.expand(points.shape)
        theta = angle_of((points - loc).double(), (points + loc).double())
        away = points - (points * loc).sum(-1, keepdim=True) * loc
        size = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        lost = size <= 4 * torch.finfo(points.dtype).eps  # a point at the mean or opposite to it points nowhere
        away = torch.where(lost, any_direction(loc), away / torch.where(lost, 1, size))
        away = away - (away * loc).sum(-1, keepdim=True) * loc
        away = away / torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        return self.law(self.parameter[..., None]).to_normal(theta), away

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        assert direction is not None
        theta = self.law(self.parameter[..., None]).from_normal(normal)
        # Between nearly opposite directions, rounding turns the great circle out of the plane of directions.
        direction = direction - (direction * self.loc).sum(-1, keepdim=True) * self.loc
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        cosine, sine = theta.cos().to(direction.dtype), theta.sin().to(direction.dtype)
        return torch.addcmul(cosine * self.loc, sine, direction)

    def spread(self, count: int = 1) -> Lift:
        return AroundMean(spread(self.loc, 1, count), spread(self.parameter, 0, count), self.law)


@dataclass(frozen=True, repr=False)
class OnCircle(Lift):
    """Symmetric about a mean on the circle: the signed angle to it, Gaussianised; a half circle has no direction left.

    Args:
        loc, parameter, law: As `AroundMean`.
    """

    loc: Tensor
    parameter: Tensor
    law: Callable[[Tensor], Any]

    def normals(self, size: int) -> int:
        return 1

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        loc = self.loc.expand(points.shape)
        theta = angle_of((points - loc).double(), (points + loc).double())
        side = loc[..., :1] * points[..., 1:] - loc[..., 1:] * points[..., :1]
        g = self.law(self.parameter[..., None]).to_normal(theta)
        # P(angle > x) is half of P(|angle| > x) for x > 0.
        z = -log_ndtri(math.log(0.5) + torch.special.log_ndtr(-g))
        return torch.where(side < 0, -z, z), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        tail = (torch.special.log_ndtr(-normal.abs()) - math.log(0.5)).clamp_max(0)
        g = -log_ndtri(tail).clamp(-38, 38)
        theta = self.law(self.parameter[..., None]).from_normal(g)
        cosine, sine = (
            theta.cos().to(self.loc.dtype),
            torch.where(normal < 0, -theta.sin(), theta.sin()).to(self.loc.dtype),
        )
        turned = torch.stack([-self.loc[..., 1], self.loc[..., 0]], -1)
        return cosine * self.loc + sine * turned

    def spread(self, count: int = 1) -> Lift:
        return OnCircle(spread(self.loc, 1, count), spread(self.parameter, 0, count), self.law)
