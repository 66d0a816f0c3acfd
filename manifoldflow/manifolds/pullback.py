r"""The metric that a differentiable map pulls back: a flow's inverse, a chart, a decoder.

The inner product of u and w at x is that of df u and df w at f(x). Where f is a diffeomorphism with a known
inverse, f is an isometry onto its image: exp, log, distances, geodesics and transport are the target's, carried
over. In particular, a geodesic of the base manifold decoded through a flow IS a geodesic of the data space with
the pulled-back metric. Otherwise there is only the metric matrix J^T G J; `immersed.py` integrates its geodesics.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jacfwd, jvp, vmap

from .._geomstats import Manifold
from .adapter import broadcasting
from .euclidean import FlatCoordinates
from .metric import TorchMetric, one_of
from .space import check_dim

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
        return 0.5 * torch.linalg.slogdet(self.metric_matrix(point)).logabsdet

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


def _push(map: Map, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """map(x) and its derivative along u."""
    x, u = (a.contiguous() for a in torch.broadcast_tensors(x, u))  # dual numbers cannot share memory
    value, derivative = jvp(map, (x,), (u,))[:2]
    return value, derivative


def _load_forward_mode() -> None:
    """Run forward-mode differentiation once: torch loads parts of it then, with a deprecated call of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


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
        _load_forward_mode()
        self.target = space
        self.map = map
        self._inverse = inverse
        self.steps = check_dim(steps, 1)
        k = check_dim(space.dim if dim is None else dim, 1)
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
        from .immersed import ImmersedMetric

        return ImmersedMetric if self._inverse is None else DiffeomorphicMetric
