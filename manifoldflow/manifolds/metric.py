"""What every metric of this library shares: broadcasting kernels, geodesics, and refusal of lost cases."""

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from inspect import isfunction, signature
from typing import Any

import torch
from torch import Tensor

from .._geomstats import RiemannianMetric
from ..checks import as_tensor, check_choice, check_tensors, fit, holds, one_of
from ..errors import CutLocusError
from .rows import safe_sqrt

__all__ = ["TorchMetric", "checked_doors"]


# What geomstats calls points and tangent vectors.
_ARRAYS = frozenset(
    {"point", "point_a", "point_b", "base_point", "initial_point", "end_point", "vector", "direction"}
    | {"tangent_vec", "tangent_vec_a", "tangent_vec_b", "tangent_vec_c", "initial_tangent_vec"}
)


def checked_doors(cls: type) -> type:
    """Let the class's own public methods check the points and vectors among their arguments, before they run."""
    for name, method in list(vars(cls).items()):
        if isfunction(method) and not name.startswith("_") and not hasattr(method, "__wrapped__"):
            names = list(signature(method).parameters)[1:]
            if _ARRAYS.intersection(names):
                setattr(cls, name, _checked(method, names))
    return cls


def _checked(method: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    defaults = signature(method).parameters
    optional = {name for name in names if defaults[name].default is None}

    @wraps(method)
    def door(self: Any, *arguments: Any, **options: Any) -> Any:
        if not fit((*arguments, *options.values()) if options else arguments, self._point_shape):
            given = (*zip(names, arguments), *options.items())
            arrays = {n: v for n, v in given if n in _ARRAYS and not (v is None and n in optional)}
            check_tensors(arrays, self._point_shape, of=self)
        return method(self, *arguments, **options)

    return door


class TorchMetric(RiemannianMetric):
    """A geomstats metric whose kernels are plain torch and broadcast over any leading dimensions.

    Results keep the inputs' dtype and device. `exp`, `log`, `dist`, `geodesic` and `parallel_transport`
    have finite derivatives of every order wherever the function itself has, and work under torch.vmap,
    torch.func and torch.compile. Points are `(*batch, n)`. A NaN gives NaN in its own row; an infinity
    NaN, infinity or a number without meaning there.

    Arguments are checked at the door of every public method, also of subclasses (`checked_doors`).

    Raises:
        TypeError: A point or vector is no floating-point tensor.
        OffManifoldError: A wrong last dimension, leading dimensions that do not broadcast, mixed dtypes or devices.
    """

    broadcasts = True
    constant_curvature: float | None = None  # the sectional curvature, where it is the same everywhere
    cut_reason = "antipodes"  # what a pair without a unique geodesic is, for an error message

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        checked_doors(cls)

    @property
    def _point_shape(self) -> tuple[int, ...]:
        return self._space.shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._space!r})"

    @abstractmethod
    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """Point `(*batch, n)` reached at time 1 from `base_point` with velocity `tangent_vec`."""

    @abstractmethod
    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """The log `(*batch, n)` and a mask `(*batch,)` of the pairs without a unique one; never raises."""

    @abstractmethod
    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Transport `tangent_vec` along the geodesic to `end_point`, or along `direction` for unit time."""

    @abstractmethod
    def inner_product(self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor | None = None) -> Tensor:
        """Inner product `(*batch,)` of two tangent vectors at `base_point`."""

    def log(self, point: Tensor, base_point: Tensor, *, cut_locus: str = "raise") -> Tensor:
        """Initial velocity `(*batch, n)` of the geodesic from `base_point` to `point`.

        Args:
            point: Points `(*batch, n)`.
            base_point: Points `(*batch, n)`.
            cut_locus: What to do with a pair that has no unique geodesic: "raise", or "choose" a
                deterministic one. Under torch.compile and torch.func, always "choose".

        Raises:
            CutLocusError: A pair has no unique geodesic, and `cut_locus` is "raise".
        """
        vector, cut = self.log_and_cut(point, base_point)
        refuse_cut(cut, cut_locus, "point", self.cut_reason)
        return vector

    def squared_norm(self, vector: Tensor, base_point: Tensor | None = None) -> Tensor:
        """Squared norm `(*batch,)` of a tangent vector."""
        return self.inner_product(vector, vector, base_point)

    def norm(self, vector: Tensor, base_point: Tensor | None = None) -> Tensor:
        """Norm `(*batch,)` of a tangent vector; its derivative at the zero vector, where none exists, is 0."""
        return safe_sqrt(self.squared_norm(vector, base_point))

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Squared distance `(*batch,)`; its gradient where the points coincide is exactly 0."""
        return self.squared_norm(self.log_and_cut(point_b, point_a)[0], point_a)

    def dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Distance `(*batch,)`; its derivative where the points coincide, where none exists, is 0."""
        return safe_sqrt(self.squared_dist(point_a, point_b))

    def geodesic(
        self,
        initial_point: Tensor,
        end_point: Tensor | None = None,
        initial_tangent_vec: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Callable[[Any], Tensor]:
        """The geodesic from `initial_point` to `end_point`, or with velocity `initial_tangent_vec`.

        Args:
            initial_point: Points `(*batch, n)`.
            end_point: Points `(*batch, n)`. Give this or `initial_tangent_vec`.
            initial_tangent_vec: Tangent vectors `(*batch, n)` at `initial_point`.
            cut_locus: As in `log`.

        Returns:
            A function of times `t`, a number or shape `(m,)`, with values `(*batch, m, n)`.

        Raises:
            CutLocusError: A pair has no unique geodesic, and `cut_locus` is "raise".
            ValueError: Both or neither of `end_point` and `initial_tangent_vec` were given.
        """
        one_of("geodesic", end_point=end_point, initial_tangent_vec=initial_tangent_vec)
        if end_point is not None:
            return self._geodesic_to(initial_point, end_point, cut_locus)
        return self._geodesic_along(initial_point, initial_tangent_vec)

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        return self._geodesic_along(start, self.log(end, start, cut_locus=cut_locus))

    def _geodesic_along(self, start: Tensor, velocity: Tensor | None) -> Callable[[Any], Tensor]:
        assert velocity is not None

        def path(t: Any) -> Tensor:
            times = as_times(t, start)
            return self.exp(times[:, None] * velocity.unsqueeze(-2), start.unsqueeze(-2))

        return path

    def curvature(
        self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, tangent_vec_c: Tensor, base_point: Tensor
    ) -> Tensor:
        """Riemann curvature R(a, b) c, shape `(*batch, n)`: K (<b, c> a - <a, c> b) at constant curvature K."""
        if self.constant_curvature is None:
            return super().curvature(tangent_vec_a, tangent_vec_b, tangent_vec_c, base_point)
        bc = self.inner_product(tangent_vec_b, tangent_vec_c, base_point).unsqueeze(-1)
        ac = self.inner_product(tangent_vec_a, tangent_vec_c, base_point).unsqueeze(-1)
        return self.constant_curvature * (bc * tangent_vec_a - ac * tangent_vec_b)

    def christoffels(self, base_point: Tensor | None = None) -> Tensor:
        """Not available: points have ambient coordinates, not a chart's."""
        raise NotImplementedError(
            "christoffels: the coordinates of this space are ambient; use exp, log and curvature, or a Pullback"
        )

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Injectivity radius: infinite, for flat metrics. Shape `(*batch,)` of `base_point`."""
        return self._constant(math.inf, base_point)

    def log_volume_form(self, point: Tensor) -> Tensor:
        """Log of the density `(*batch,)` of Riemannian volume, relative to the reference measure of the space."""
        return point.new_zeros(point.shape[:-1])

    @staticmethod
    def _constant(value: float, base_point: Tensor | None) -> Any:
        return value if base_point is None else base_point.new_full(base_point.shape[:-1], value)


checked_doors(TorchMetric)


def identity_matrix(n: int, base_point: Tensor | None) -> Tensor:
    """Identity matrices `(*batch, n, n)` for points `(*batch, n)`."""
    if base_point is None:
        return torch.eye(n)
    eye = torch.eye(n, dtype=base_point.dtype, device=base_point.device)
    return eye.expand(*base_point.shape, n)


def as_times(t: Any, like: Tensor) -> Tensor:
    """Times as a tensor `(m,)` with the dtype and device of the points."""
    if type(t) is Tensor and t.ndim == 1 and t.dtype == like.dtype and t.device == like.device:
        return t
    times = as_tensor("t", t).to(like)
    if times.ndim > 1:
        raise ValueError(f"t: expected a time or times of shape (m,), got shape {tuple(times.shape)}")
    return times.reshape(1) if times.ndim == 0 else times


def refuse_cut(cut: Tensor, cut_locus: str, name: str, reason: str) -> None:
    """Raise CutLocusError naming the masked rows, in eager execution and unless told to choose."""
    if refuses(cut_locus, cut):
        raise CutLocusError(
            f"{name}: expected pairs joined by a unique shortest geodesic, got {reason} at {rows_of(cut)}; "
            "move one of the points, or pass cut_locus='choose' for a fixed direction"
        )


def refuses(cut_locus: str, cut: Tensor) -> bool:
    """Whether the option `cut_locus` asks to raise here: it says so, some row is cut, and execution is eager."""
    if cut_locus != "raise":
        check_choice("cut_locus", cut_locus, ("raise", "choose"))
        return False
    return holds(cut)


def rows_of(mask: Tensor, most: int = 5) -> str:
    """The rows where a mask holds, for an error message: "row 3", "rows 0, 4, 7 (and 12 more)"."""
    if mask.ndim == 0:
        return "the only row"
    rows = mask.nonzero().tolist()
    names = [str(r[0]) if len(r) == 1 else str(tuple(r)) for r in rows[:most]]
    more = f" (and {len(rows) - most} more)" if len(rows) > most else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(names)}{more}"
