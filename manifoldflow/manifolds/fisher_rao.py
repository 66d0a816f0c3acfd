r"""The Fisher-Rao metric of the simplex: the sphere's positive orthant through sqrt p, at radius 2.

With r = sqrt p on the unit sphere, a tangent vector u at p is v = u / (2 r) there, |u|_p^2 = sum u^2 / p =
4 |v|^2, and every operation is the sphere's. The difference of two roots is taken as (q - p) / (sqrt q +
sqrt p), which does not cancel.

On the boundary the metric is infinite in the coordinates that are zero, distances and geodesics are finite,
but the geodesic into the interior leaves with u_i = 2 r_i v_i = 0: the coordinates no longer hold its
direction. `log` refuses such a pair; `geodesic` does not need it. Derivatives with respect to a zero coordinate
are infinite (those of its root) and returned as 0.

Reference: S. Amari and H. Nagaoka, Methods of Information Geometry, section 2.2.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import check_choice, holds, one_of
from ..errors import OffManifoldError
from . import sphere_kernels
from .metric import TorchMetric, as_times, refuses, rows_of
from .rows import combine, in_blocks, safe_sqrt

__all__ = ["FisherRaoMetric"]


class FisherRaoMetric(TorchMetric):
    """Inner product sum_i u_i w_i / p_i on the simplex; distances are at most pi. Curvature 1/4."""

    constant_curvature = 0.25
    cut_reason = "a velocity from the boundary into the interior"

    def metric_matrix(self, base_point: Tensor) -> Tensor:
        """diag(1 / p), shape `(*batch, n, n)`, in the n ambient coordinates."""
        return torch.diag_embed(base_point.reciprocal())

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor) -> Tensor:  # type: ignore[override]
        """Sum of u w / p `(*batch,)`; on the boundary, 0 / 0 counts as 0."""
        product = tangent_vec_a * tangent_vec_b
        empty = product == 0
        return torch.where(empty, 0.0, product / torch.where(empty, 1.0, base_point)).sum(-1)

    def exp(self, tangent_vec: Tensor, base_point: Tensor, *, boundary: str = "raise") -> Tensor:
        """Point `(*batch, n)` at the end of the geodesic with velocity `tangent_vec`.

        Args:
            tangent_vec: Tangent vectors `(*batch, n)`; their components in zero coordinates are ignored.
            base_point: Points `(*batch, n)`.
            boundary: What to do where the geodesic has left the simplex: "raise", or "reflect" it as the
                square of the sphere's geodesic does. Under torch.compile and torch.func, always "reflect".

        Raises:
            OffManifoldError: A geodesic leaves the simplex, and `boundary` is "raise".
        """
        point, outside = in_blocks(_exp, tangent_vec, base_point)
        _refuse_outside(outside, boundary, "tangent_vec")
        return point

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The log, and a mask of the pairs whose geodesic leaves the boundary, where it is incomplete."""
        vector, cut = in_blocks(_log, base_point, point)
        return vector, cut

    def log(self, point: Tensor, base_point: Tensor, *, cut_locus: str = "raise") -> Tensor:
        """Initial velocity `(*batch, n)` of the geodesic from `base_point` to `point`.

        Raises:
            OffManifoldError: A zero coordinate of `base_point` is not zero in `point`, and `cut_locus` is
                "raise"; with "choose" that component of the velocity is its limit, 0.
        """
        vector, cut = self.log_and_cut(point, base_point)
        if refuses(cut_locus, cut):
            raise OffManifoldError(
                "base_point: expected positive coordinates wherever point has them, since at the boundary a "
                f"Fisher-Rao velocity into the interior has no finite coordinates, got zeros at {rows_of(cut)}; "
                "use geodesic(initial_point, end_point), which is exact there"
            )
        return vector

    def dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Distance 2 arccos(sum sqrt(p q)), computed without arccos, shape `(*batch,)`."""
        return in_blocks(lambda p, q: (2 * sphere_kernels.angle_of(*_chords(p, q)).squeeze(-1),), point_a, point_b)[0]

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)`; its gradient at coincident points is exactly 0."""

        def kernel(p: Tensor, q: Tensor) -> tuple[Tensor]:
            return (4 * sphere_kernels.squared_angle_of(*_chords(p, q)).squeeze(-1),)

        return in_blocks(kernel, point_a, point_b)[0]

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        def path(t: Any) -> Tensor:
            times = as_times(t, start)
            points, outside = in_blocks(lambda p, q: _slerp(p, q, times), start, end)
            _refuse_outside(outside, "raise", "t")
            return points

        return path

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Transport `tangent_vec` along the geodesic to `end_point`, or along `direction` for unit time.

        Raises:
            OffManifoldError: The geodesic leaves the simplex along `direction`; or it ends on the boundary and the
                vector there points off the face, so that its coordinates do not hold it, and `cut_locus` is
                "raise"; with "choose" that part of the vector is 0.
        """
        one_of("parallel_transport", direction=direction, end_point=end_point)
        if end_point is not None:
            moved, lost = in_blocks(_transport_to, tangent_vec, base_point, end_point)
        else:
            assert direction is not None
            moved, lost, outside = in_blocks(_transport_along, tangent_vec, base_point, direction)
            _refuse_outside(outside, "raise", "direction")
        if refuses(cut_locus, lost):
            raise OffManifoldError(
                "tangent_vec: expected vectors that stay in the face where the geodesic ends, since at the boundary a "
                f"Fisher-Rao vector off it has no finite coordinates, got others at {rows_of(lost)}; "
                "take an end point with positive coordinates, or pass cut_locus='choose' to drop that part"
            )
        return moved

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Distance to the boundary, 2 arcsin(min sqrt p); at most that of the centre, without a point."""
        if base_point is None:
            return 2 * math.asin((self._space.dim + 1) ** -0.5)
        return 2 * base_point.amin(-1).clamp_min(0).sqrt().asin()

    def log_volume_form(self, point: Tensor) -> Tensor:
        """-1/2 sum log p, relative to Lebesgue measure on the first d coordinates."""
        return -0.5 * point.log().sum(-1)


def _chords(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Difference sqrt q - sqrt p and sum of the roots."""
    p, q = _constant_zeros(p), _constant_zeros(q)
    s = safe_sqrt(p) + safe_sqrt(q)
    return (q - p) / torch.where(s == 0, 1.0, s), s


def _log(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    d, s = _chords(p, q)
    b, a, _ = sphere_kernels.log_coefficients(d, s)
    return 2 * safe_sqrt(p) * combine(a, s, b, d), ((p == 0) & (q > 0)).any(-1)


def _exp(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    root = safe_sqrt(p)
    end = sphere_kernels.exp(_to_sphere(u, root), root)
    return _normalised(end.square()), _outside(end)


def _slerp(p: Tensor, q: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    d, s = (part.unsqueeze(-2) for part in _chords(p, q))
    b, a, _ = sphere_kernels.slerp_coefficients(d, s, t.unsqueeze(-1))
    roots = combine(a, s, b, d)
    return _normalised(roots.square()), _outside(roots)


def _transport_to(u: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    root, end = safe_sqrt(p), safe_sqrt(q)
    moved, _ = sphere_kernels.transport_to(_to_sphere(u, root), root, end)
    return 2 * end * moved, _lost(moved, end)


def _transport_along(u: Tensor, p: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    root = safe_sqrt(p)
    along = _to_sphere(direction, root)
    end = sphere_kernels.exp(along, root)
    moved = sphere_kernels.transport_along(_to_sphere(u, root), root, along)
    return 2 * end * moved, _lost(moved, end), _outside(end)


def _lost(v: Tensor, end: Tensor) -> Tensor:
    """Mask `(*batch,)` of the sphere's vectors with a component, beyond rounding, in a zero coordinate of `end`."""
    size = v.detach().abs()
    return ((end == 0) & (size > 8 * torch.finfo(v.dtype).eps * size.amax(-1, keepdim=True))).any(-1)


def _outside(root: Tensor) -> Tensor:
    """Mask `(*batch,)` of the sphere's points off the positive orthant."""
    return (root < -8 * torch.finfo(root.dtype).eps).any(-1)


def _constant_zeros(p: Tensor) -> Tensor:
    """The same values, with derivative 0 in zero coordinates."""
    return torch.where(p == 0, 0.0, p)


def _to_sphere(u: Tensor, root: Tensor) -> Tensor:
    empty = root == 0
    return torch.where(empty, 0.0, u / (2 * torch.where(empty, 1.0, root)))


def _normalised(p: Tensor) -> Tensor:
    return p / p.sum(-1, keepdim=True)


def _refuse_outside(outside: Tensor, boundary: str, name: str) -> None:
    check_choice("boundary", boundary, ("raise", "reflect"))
    if boundary == "raise" and holds(outside):
        raise OffManifoldError(
            f"{name}: expected a geodesic that stays in the simplex, got one past its boundary at {rows_of(outside)}; "
            "shorten it, or call the Fisher-Rao metric's exp(..., boundary='reflect')"
        )
