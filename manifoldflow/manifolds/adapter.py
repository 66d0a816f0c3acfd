"""One adapter that lets foreign geomstats metrics take any leading dimensions.

geomstats' kernels accept one batch dimension, or none. The adapter broadcasts the leading dimensions of all
arguments, flattens them to one, calls the metric and unflattens the result. Our own metrics pass through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .._geomstats import RiemannianMetric
from ..checks import describe, one_of
from .metric import TorchMetric, as_times, checked_doors
from .rows import safe_sqrt

__all__ = ["BroadcastingMetric", "broadcasting", "default_dtype", "flattened"]


def broadcasting(metric: RiemannianMetric) -> Any:
    """The metric itself if its kernels broadcast, as ours do, or a `BroadcastingMetric` around it."""
    if not isinstance(metric, (RiemannianMetric, BroadcastingMetric)):
        raise TypeError(f"metric: expected a geomstats metric, such as Hypersphere(2).metric, got {describe(metric)}")
    return metric if isinstance(metric, (TorchMetric, BroadcastingMetric)) else BroadcastingMetric(metric)


@checked_doors
class BroadcastingMetric:
    """A geomstats metric seen through arguments `(*batch, *space.shape)`.

    Results keep the dtype and device of the first argument. Cut loci, accuracy and gradients are the foreign
    metric's own.
    """

    broadcasts = True

    def __init__(self, metric: RiemannianMetric) -> None:
        self.metric = metric
        self._point_shape: tuple[int, ...] = tuple(metric._space.shape)

    def __repr__(self) -> str:
        return f"broadcasting({type(self.metric).__name__})"

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """Point `(*batch, *shape)` reached from `base_point`."""
        return self._vectors(self.metric.exp, tangent_vec, base_point)

    def log(self, point: Tensor, base_point: Tensor, *, cut_locus: str = "raise") -> Tensor:
        """Initial velocity `(*batch, *shape)`; foreign metrics know no cut locus, so `cut_locus` changes nothing."""
        return self._vectors(self.metric.log, point, base_point)

    def dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Distance `(*batch,)`."""
        return self._numbers(self.metric.dist, point_a, point_b)

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)`."""
        return self._numbers(self.metric.squared_dist, point_a, point_b)

    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor) -> Tensor:
        """Inner product `(*batch,)` of tangent vectors at `base_point`."""
        return self._numbers(self.metric.inner_product, tangent_vec_a, tangent_vec_b, base_point)

    def curvature(
        self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, tangent_vec_c: Tensor, base_point: Tensor
    ) -> Tensor:
        """Riemann curvature R(a, b) c, shape `(*batch, *shape)`."""
        return self._vectors(self.metric.curvature, tangent_vec_a, tangent_vec_b, tangent_vec_c, base_point)

    def squared_norm(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Squared norm `(*batch,)`."""
        return self.inner_product(vector, vector, base_point)

    def norm(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Norm `(*batch,)`; a square that rounding has made negative counts as 0."""
        return safe_sqrt(self.squared_norm(vector, base_point).clamp_min(0))

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Transport `tangent_vec` along `direction` or to `end_point`, where geomstats has a closed form.

        As in `log`, `cut_locus` changes nothing.
        """
        one_of("parallel_transport", direction=direction, end_point=end_point)
        if direction is None:
            assert end_point is not None
            direction = self.log(end_point, base_point)
        return self._vectors(self.metric.parallel_transport, tangent_vec, base_point, direction)

    def geodesic(
        self,
        initial_point: Tensor,
        end_point: Tensor | None = None,
        initial_tangent_vec: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Callable[[Any], Tensor]:
        """The geodesic as a function of times `(m,)` with values `(*batch, m, *shape)`."""
        one_of("geodesic", end_point=end_point, initial_tangent_vec=initial_tangent_vec)
        velocity = self.log(end_point, initial_point) if initial_tangent_vec is None else initial_tangent_vec  # type: ignore[arg-type]
        axis = -1 - len(self._point_shape)

        def path(t: Any) -> Tensor:
            times = as_times(t, initial_point).reshape(-1, *(1 for _ in self._point_shape))
            return self.exp(times * velocity.unsqueeze(axis), initial_point.unsqueeze(axis))

        return path

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Injectivity radius, shape `(*batch,)` of `base_point`, where geomstats knows it."""
        if base_point is None:
            return self.metric.injectivity_radius(None)
        # some of theirs are one number for all points
        return self._numbers(lambda x: torch.as_tensor(self.metric.injectivity_radius(x)).expand(len(x)), base_point)

    def _vectors(self, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        return self._call(function, self._point_shape, arguments)

    def _numbers(self, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        return self._call(function, (), arguments)

    def _call(self, function: Callable[..., Tensor], tail: tuple[int, ...], arguments: tuple[Tensor, ...]) -> Tensor:
        return flattened(function, self._point_shape, tail, *arguments).to(arguments[0])


def flattened(
    function: Callable[..., Any], shape: tuple[int, ...], tail: tuple[int, ...], *arguments: Tensor
) -> Tensor:
    """`function(*arguments)` `(*batch, *tail)` of arguments `(*batch, *shape)`, given one batch dimension at a time."""
    ndim = len(shape)
    batch = torch.broadcast_shapes(*(a.shape[: a.ndim - ndim] for a in arguments))
    if batch.numel() == 0:  # which geomstats does not take
        return arguments[0].new_empty(batch + tail)
    flat = [a.expand(batch + shape).reshape(-1, *shape) for a in arguments]
    with default_dtype(flat[0].dtype):
        return torch.as_tensor(function(*flat), device=flat[0].device).reshape(batch + tail)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """torch's default dtype for the duration of a call: geomstats makes its constants in it and does not mix dtypes."""
    before = torch.get_default_dtype()
    if before == dtype:
        yield
        return
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
