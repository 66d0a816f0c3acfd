r"""Geodesics of a metric known only by its matrix: integrated, and shot at an end point.

The geodesic equation is a = -Gamma(x)(u, u); with the metric matrix M(x) and L(x, u) = u^T M(x) u / 2,

    M a = dL/dx - d(M u)/dx u,

with the derivative of M by forward-mode differentiation.
"""

import torch
from torch import Tensor
from torch.func import jacfwd, vmap

from ..errors import CutLocusError
from .metric import refuses, rows_of
from .pullback import PullbackMetric
from .tracing import is_eager

__all__ = ["ImmersedMetric"]


class ImmersedMetric(PullbackMetric):
    """The metric pulled back by an immersion, such as a decoder's: geodesics by Runge-Kutta of order four.

    `exp` costs 4 `steps` evaluations of the metric matrix and its derivative, `log` that on 2k + 1 times as many
    rows for each of a few Newton steps: for low-dimensional x and nearby points. Paths in general position
    are the business of an energy minimiser.
    """

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """Point `(*batch, k)` at unit time on the geodesic with velocity `tangent_vec`."""
        x, u = torch.broadcast_tensors(base_point, tangent_vec)
        k = self.space.dim
        return self._shoot(x.reshape(-1, k), u.reshape(-1, k)).reshape(x.shape)

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """Newton's method for the velocity that hits `point`, and a mask of the rows where it did not converge."""
        k = self.space.dim
        y, x = torch.broadcast_tensors(point, base_point)
        batch, y, x = y.shape, y.reshape(-1, k), x.reshape(-1, k)
        u = y - x
        size = u.abs().amax(-1, keepdim=True)
        for _ in range(20):
            miss = y - self._shoot(x, u)
            if is_eager() and bool(((miss.abs() <= _close(size)) | ~miss.isfinite()).all()):
                break
            u = u + torch.linalg.solve(self._slope(x, u), miss)
        cut = ~(miss.abs() <= _close(size)).all(-1)
        return u.reshape(batch), cut.reshape(batch[:-1])

    def _slope(self, x: Tensor, u: Tensor) -> Tensor:
        """Derivative `(b, k, k)` of the end point in u by central differences, all in one shot.

        Newton's steps need it to a few digits; where they stop does not depend on it.
        """
        k = self.space.dim
        h = torch.finfo(u.dtype).eps ** (1 / 3) * (1 + u.abs().amax(-1, keepdim=True))
        offsets = torch.cat([torch.eye(k).to(u), -torch.eye(k).to(u)])
        starts = u.unsqueeze(-2) + h.unsqueeze(-1) * offsets
        ends = self._shoot(x.repeat_interleave(2 * k, 0), starts.reshape(-1, k)).reshape(-1, 2, k, k)
        return ((ends[:, 0] - ends[:, 1]) / (2 * h.unsqueeze(-1))).mT

    def log(self, point: Tensor, base_point: Tensor, *, cut_locus: str = "raise") -> Tensor:
        """Initial velocity `(*batch, k)` of a geodesic from `base_point` to `point`.

        Raises:
            CutLocusError: Newton's method did not converge, and `cut_locus` is "raise"; with "choose" the last
                iterate is returned.
        """
        vector, cut = self.log_and_cut(point, base_point)
        if refuses(cut_locus, cut):
            raise CutLocusError(
                f"point: expected pairs that shooting joins by a geodesic, but it did not converge at {rows_of(cut)}; "
                "take nearer points, more steps, or a path that minimises the energy"
            )
        return vector

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared length `(*batch,)` of the geodesic that `log` finds, which raises as it does."""
        return self.squared_norm(self.log(point_b, point_a), point_a)

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Not in closed form; geomstats' `ladder_parallel_transport` approximates it from exp and log."""
        raise NotImplementedError(
            "parallel_transport: no closed form for a metric pulled back by an immersion; use "
            "ladder_parallel_transport, or give Pullback the inverse of the map"
        )

    def _acceleration(self, x: Tensor, u: Tensor) -> Tensor:
        slope, matrix = vmap(jacfwd(self._matrix_twice, has_aux=True))(x)  # slope[..., i, j, l] = dM_ij / dx_l
        force = 0.5 * torch.einsum("bijl,bi,bj->bl", slope, u, u)
        drift = torch.einsum("bijl,bj,bl->bi", slope, u, u)
        return torch.linalg.solve(matrix, force - drift)

    def _matrix_twice(self, x: Tensor) -> tuple[Tensor, Tensor]:
        matrix = self._matrix(x)
        return matrix, matrix

    def _shoot(self, x: Tensor, u: Tensor) -> Tensor:
        """Positions `(b, k)` after unit time."""
        h = 1 / self.space.steps
        for _ in range(self.space.steps):
            a1 = self._acceleration(x, u)
            u2 = u + 0.5 * h * a1
            a2 = self._acceleration(x + 0.5 * h * u, u2)
            u3 = u + 0.5 * h * a2
            a3 = self._acceleration(x + 0.5 * h * u2, u3)
            u4 = u + h * a3
            a4 = self._acceleration(x + h * u3, u4)
            x = x + h / 6 * (u + 2 * u2 + 2 * u3 + u4)
            u = u + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        return x


def _close(size: Tensor) -> Tensor:
    """How near a shot must land, relative to the distance in coordinates."""
    return 64 * torch.finfo(size.dtype).eps * (1 + size)
