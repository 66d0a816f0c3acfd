r"""The metric that a differentiable map pulls back: a flow's inverse, a chart, a decoder.

The inner product of u and w at x is that of df u and df w at f(x). Where f is a diffeomorphism with a known
inverse, f is an isometry onto its image: exp, log, distances, geodesics and transport are the target's, carried
over. In particular, a geodesic of the base manifold decoded through a flow IS a geodesic of the data space with
the pulled-back metric. Otherwise there is only the metric matrix M = J^T G J: geodesics are integrated, and shot at an
end point. The geodesic equation is a = -Gamma(x)(u, u); with L(x, u) = u^T M(x) u / 2,

    M a = dL/dx - d(M u)/dx u,

with the derivative of M by forward-mode differentiation.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jacfwd, jvp, vmap

from .._geomstats import Manifold
from ..checks import check_integer, describe, one_of
from ..errors import CutLocusError
from .adapter import broadcasting
from .euclidean import FlatCoordinates
from .metric import TorchMetric, refuses, rows_of
from .rows import is_eager, load_forward_mode
from .space import check_space

__all__ = ["DiffeomorphicMetric", "Pullback", "PullbackMetric"]

Map = Callable[[Tensor], Tensor]


class PullbackMetric(TorchMetric):
    """What any pulled-back metric has: the metric matrix by forward-mode differentiation and what follows from it."""

    def __init__(self, space: "Pullback") -> None:
        super().__init__(space)
        self.space = space
        self.target = broadcasting(space.target.metric)

    def push(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """f(x) and df_x(u), for x and u of broadcastable shapes `(*batch, k)`."""
        return _push(self.space.map, x, u)

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor) -> Tensor:  # type: ignore[override]
        """Inner product `(*batch,)` of df a and df b in the target."""
        y, a = self.push(base_point, tangent_vec_a)
        _, b = self.push(base_point, tangent_vec_b)
        return self.target.inner_product(a, b, y)

    def metric_matrix(self, base_point: Tensor) -> Tensor:
        """J^T G J, shape `(*batch, k, k)`."""
        k = self.space.dim
        flat = base_point.reshape(-1, k)
        return vmap(self._matrix)(flat).reshape(*base_point.shape, k)

    def _matrix(self, x: Tensor) -> Tensor:
        """The metric matrix at one point `(k,)`."""
        columns = jacfwd(self.space.map)(x).movedim(-1, 0)
        return self.target.inner_product(columns[:, None], columns[None], self.space.map(x))

    def christoffels(self, base_point: Tensor | None = None) -> Tensor:
        """Christoffel symbols `(*batch, k, k, k)`, the contravariant index first, as in geomstats.

        geomstats' own loses the second derivatives under torch, and so the curvature.
        """
        assert base_point is not None
        k = self.space.dim
        slope = vmap(jacfwd(self._matrix))(base_point.reshape(-1, k))  # slope[..., i, j, l] = dM_ij / dx_l
        lowered = 0.5 * (slope.permute(0, 1, 3, 2) + slope - slope.permute(0, 3, 2, 1))  # [l, i, j]
        matrix = vmap(self._matrix)(base_point.reshape(-1, k))
        raised = torch.linalg.solve(matrix, lowered.flatten(2)).reshape(lowered.shape)
        return raised.reshape(*base_point.shape, k, k)

    def log_volume_form(self, point: Tensor) -> Tensor:
        """1/2 log det of the metric matrix, relative to Lebesgue measure on the k coordinates."""
        matrix = self.metric_matrix(point)
        wide = matrix.to(
            torch.promote_types(matrix.dtype, torch.float32)
        )  # torch has no determinants in half precision
        return 0.5 * torch.linalg.slogdet(wide).logabsdet.to(matrix)

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Not known for a general map."""
        raise NotImplementedError("injectivity_radius: not known for a pulled-back metric")


class DiffeomorphicMetric(PullbackMetric):
    """A metric pulled back by a diffeomorphism: every operation is the target's, carried over."""

    def __init__(self, space: "Pullback") -> None:
        super().__init__(space)
        if isinstance(self.target, TorchMetric):
            self.cut_reason = self.target.cut_reason

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """f^{-1}(exp_{f(x)}(df u)), shape `(*batch, k)`."""
        y, v = self.push(base_point, tangent_vec)
        return self.space.inverse(self.target.exp(v, y))

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The target's log, pulled back by the derivative of the inverse; the target's cut locus."""
        y, end = self.space.map(base_point), self.space.map(point)
        if isinstance(self.target, TorchMetric):
            v, cut = self.target.log_and_cut(end, y)
        else:
            v = self.target.log(end, y)
            cut = torch.zeros(v.shape[: v.ndim - len(self.space.target.shape)], dtype=torch.bool, device=v.device)
        return self._pull(y, v), cut

    def curvature(
        self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, tangent_vec_c: Tensor, base_point: Tensor
    ) -> Tensor:
        """The target's R(a, b) c, carried over, shape `(*batch, k)`."""
        (y, a), (_, b), (_, c) = (self.push(base_point, u) for u in (tangent_vec_a, tangent_vec_b, tangent_vec_c))
        return self._pull(y, self.target.curvature(a, b, c, y))

    def dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Distance `(*batch,)` of the images."""
        return self.target.dist(self.space.map(point_a), self.space.map(point_b))

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)` of the images."""
        return self.target.squared_dist(self.space.map(point_a), self.space.map(point_b))

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        path = self.target.geodesic(self.space.map(start), self.space.map(end), cut_locus=cut_locus)
        return lambda t: self.space.inverse(path(t))

    def _geodesic_along(self, start: Tensor, velocity: Tensor | None) -> Callable[[Any], Tensor]:
        assert velocity is not None
        y, v = self.push(start, velocity)
        path = self.target.geodesic(y, initial_tangent_vec=v)
        return lambda t: self.space.inverse(path(t))

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """The target's transport, carried over, shape `(*batch, k)`."""
        one_of("parallel_transport", direction=direction, end_point=end_point)
        y, u = self.push(base_point, tangent_vec)
        if end_point is None:
            assert direction is not None
            v = self.push(base_point, direction)[1]
            moved = self.target.parallel_transport(u, y, direction=v, cut_locus=cut_locus)
            return self._pull(self.target.exp(v, y), moved)
        end = self.space.map(end_point)
        return self._pull(end, self.target.parallel_transport(u, y, end_point=end, cut_locus=cut_locus))

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """The target's at the image, shape `(*batch,)`; no more than an upper bound where the map is not onto."""
        return self.target.injectivity_radius(None if base_point is None else self.space.map(base_point))

    def _pull(self, y: Tensor, v: Tensor) -> Tensor:
        return _push(self.space.inverse, y, v)[1]


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


def _push(map: Map, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """map(x) and its derivative along u."""
    x, u = (a.contiguous() for a in torch.broadcast_tensors(x, u))  # dual numbers cannot share memory
    value, derivative = jvp(map, (x,), (u,))[:2]
    return value, derivative


class Pullback(FlatCoordinates, Manifold):
    """R^k with the metric that a map into a space pulls back.

    Args:
        space: A geomstats space with a metric.
        map: Differentiable, row by row: `(*batch, k)` to `(*batch, *space.shape)`, an immersion. It must be
            possible to run it under torch.func. A torch Transform with an inverse brings that along.
        dim: k; by default the dimension of `space`.
        inverse: The inverse of `map` on its image, if it is a diffeomorphism: with it, every operation is in
            closed form. Pass it only where geodesics between image points stay in the image.
        steps: Runge-Kutta steps over unit time, where there is no inverse.

    The reference measure of `metric.log_volume_form` is Lebesgue measure on the k coordinates.
    """

    def __init__(
        self,
        space: Manifold,
        map: Map,
        *,
        dim: int | None = None,
        inverse: Map | None = None,
        steps: int = 32,
        equip: bool = True,
    ) -> None:
        if inverse is None and isinstance(map, torch.distributions.transforms.Transform) and map.bijective:
            inverse = map.inv
        check_space(space)
        for name, function in (("map", map), ("inverse", inverse)):
            if not callable(function) and (name == "map" or function is not None):
                raise TypeError(f"{name}: expected a function of tensors, got {describe(function)}")
        load_forward_mode()
        self.target = space
        self.map = map
        self._inverse = inverse
        self.steps = check_integer("steps", steps)
        k = check_integer("dim", space.dim if dim is None else dim)
        if k > space.dim or (inverse is not None and k != space.dim):
            raise ValueError(
                f"dim: expected {'' if inverse else 'at most '}{space.dim}, the space's dimension, got {k}"
            )
        super().__init__(dim=k, shape=(k,), intrinsic=True, equip=equip)

    def __repr__(self) -> str:
        return f"Pullback({self.target!r}, dim={self.dim})"

    @property
    def inverse(self) -> Map:
        """The inverse of the map."""
        assert self._inverse is not None
        return self._inverse

    def default_metric(self) -> type[PullbackMetric]:
        """In closed form where the inverse is known."""
        return ImmersedMetric if self._inverse is None else DiffeomorphicMetric
