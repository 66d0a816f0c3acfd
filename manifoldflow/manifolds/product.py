"""Products of spaces: points are the factors' coordinates one after the other."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import as_tensor, check_tensors, describe, one_of
from .adapter import broadcasting, flattened
from .metric import TorchMetric
from .space import Space, check_space, tolerance

__all__ = ["Product", "ProductMetric"]


class ProductMetric(TorchMetric):
    """Sum of the factors' metrics, each times its weight; geodesics, logs and transport are the factors' own."""

    cut_reason = "antipodes, or a velocity into the interior from a simplex's boundary, in a factor"

    def __init__(self, space: "Product") -> None:
        super().__init__(space)
        self.space = space
        self.metrics = [broadcasting(f.metric) for f in space.factors]

    def exp(self, tangent_vec: Tensor, base_point: Tensor) -> Tensor:
        """Factor by factor, shape `(*batch, n)`."""
        return self._join("exp", tangent_vec, base_point)

    def log_and_cut(self, point: Tensor, base_point: Tensor) -> tuple[Tensor, Tensor]:
        """Factor by factor; a pair without a unique geodesic in one factor has none."""
        vectors, cuts = [], []
        for metric, x, m in self._blocks(point, base_point):
            if isinstance(metric, TorchMetric):
                vector, cut = metric.log_and_cut(x, m)
                cuts.append(cut)
            else:
                vector = metric.log(x, m)
            vectors.append(vector)
        joined = self.space.join(vectors)
        cut = torch.zeros(joined.shape[:-1], dtype=torch.bool, device=joined.device)
        for part in cuts:
            cut = cut | part
        return joined, cut

    def metric_matrix(self, base_point: Tensor) -> Tensor:
        """The factors' matrices, times their weights, along the diagonal, shape `(*batch, n, n)`."""
        _refuse_foreign("metric_matrix", self.space.factors)
        rows, before, n = [], 0, self.space.shape[0]
        for metric, x, w in zip(self.metrics, self.space.split(base_point), self.space.weights):
            block = w * metric.metric_matrix(x)
            size = block.shape[-1]
            rows.append(torch.nn.functional.pad(block, (before, n - before - size)))
            before += size
        return torch.cat(rows, -2)

    def inner_product(  # type: ignore[override]
        self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, base_point: Tensor
    ) -> Tensor:
        """Weighted sum of the factors' `(*batch,)`."""
        return self._sum("inner_product", tangent_vec_a, tangent_vec_b, base_point)

    def squared_dist(self, point_a: Tensor, point_b: Tensor) -> Tensor:
        """Weighted sum of the factors' `(*batch,)`."""
        return self._sum("squared_dist", point_a, point_b)

    def _geodesic_to(self, start: Tensor, end: Tensor, cut_locus: str) -> Callable[[Any], Tensor]:
        paths = [m.geodesic(a, b, cut_locus=cut_locus) for m, a, b in self._blocks(start, end)]
        return lambda t: self.space.join([path(t) for path in paths])

    def parallel_transport(
        self,
        tangent_vec: Tensor,
        base_point: Tensor,
        direction: Tensor | None = None,
        end_point: Tensor | None = None,
        *,
        cut_locus: str = "raise",
    ) -> Tensor:
        """Factor by factor, shape `(*batch, n)`; raises as the factors do."""
        one_of("parallel_transport", direction=direction, end_point=end_point)
        name, other = ("end_point", end_point) if direction is None else ("direction", direction)
        assert other is not None
        blocks = self._blocks(tangent_vec, base_point, other)
        return self.space.join([m.parallel_transport(u, x, **{name: y}, cut_locus=cut_locus) for m, u, x, y in blocks])

    def curvature(
        self, tangent_vec_a: Tensor, tangent_vec_b: Tensor, tangent_vec_c: Tensor, base_point: Tensor
    ) -> Tensor:
        """Factor by factor, shape `(*batch, n)`: a weight does not change R(a, b) c."""
        return self._join("curvature", tangent_vec_a, tangent_vec_b, tangent_vec_c, base_point)

    def injectivity_radius(self, base_point: Tensor | None = None) -> Any:
        """Least of the factors', each times the root of its weight."""
        parts = self.space.split(base_point) if base_point is not None else [None] * len(self.metrics)
        radii = [
            torch.as_tensor(metric.injectivity_radius(x)) * math.sqrt(w)
            for metric, x, w in zip(self.metrics, parts, self.space.weights)
        ]
        if base_point is None:
            return min(float(r) for r in radii)
        batch = base_point.shape[:-1]
        return torch.stack([r.to(base_point).expand(batch) for r in radii]).amin(0)

    def log_volume_form(self, point: Tensor) -> Tensor:
        """Sum of the factors', plus d/2 times the log of each weight."""
        _refuse_foreign("log_volume_form", self.space.factors)
        total = point.new_zeros(point.shape[:-1])
        for factor, x, w in zip(self.space.factors, self.space.split(point), self.space.weights):
            total = total + factor.metric.log_volume_form(x) + 0.5 * factor.dim * math.log(w)
        return total

    def _blocks(self, *arrays: Tensor) -> Iterator[tuple[Any, ...]]:
        return zip(self.metrics, *(self.space.split(a) for a in arrays))

    def _join(self, name: str, *arrays: Tensor) -> Tensor:
        return self.space.join([getattr(m, name)(*parts) for m, *parts in self._blocks(*arrays)])

    def _sum(self, name: str, *arrays: Tensor) -> Tensor:
        terms = [getattr(m, name)(*parts) for m, *parts in self._blocks(*arrays)]
        return sum(w * term for w, term in zip(self.space.weights, terms))


class Product(Space, Manifold):
    """Product of spaces, its metric the weighted sum of theirs.

    Args:
        factors: geomstats spaces with metrics, ours or not.
        weights: A positive number for each factor, multiplying its metric tensor; 1 by default.

    A point `(*batch, n)` holds the factors' coordinates one after the other, matrices flattened; `split` and
    `join` convert. The reference measure of `metric.log_volume_form` is the product of the factors'.
    """

    def __init__(self, factors: Sequence[Manifold], weights: Sequence[float] | None = None, equip: bool = True) -> None:
        if not isinstance(factors, Sequence):
            raise TypeError(f"factors: expected a list of spaces, got {describe(factors)}")
        if not factors:
            raise ValueError("factors: expected at least one space, got none")
        for factor in factors:
            check_space(factor)
        weights = as_tensor(
            "weights", [1.0] * len(factors) if weights is None else weights, dtype=torch.float64
        ).tolist()
        if not isinstance(weights, list) or len(weights) != len(factors) or not all(0 < w < math.inf for w in weights):
            raise ValueError(f"weights: expected {len(factors)} positive numbers, one per factor, got {weights}")
        self.factors = tuple(factors)
        self.weights = tuple(weights)
        self.sizes = tuple(math.prod(f.shape) for f in factors)
        super().__init__(dim=sum(f.dim for f in factors), shape=(sum(self.sizes),), intrinsic=False, equip=equip)

    def __repr__(self) -> str:
        weights = "" if set(self.weights) == {1.0} else f", weights={list(self.weights)}"
        return f"Product([{', '.join(map(repr, self.factors))}]{weights})"

    @staticmethod
    def default_metric() -> type[ProductMetric]:
        """The weighted sum of the factors' metrics."""
        return ProductMetric

    def split(self, point: Tensor) -> list[Tensor]:
        """The factors' points, each `(*batch, *factor.shape)`."""
        check_tensors({"point": point}, self.shape, of=self)
        blocks = point.split(self.sizes, dim=-1)
        return [b if len(f.shape) == 1 else b.unflatten(-1, f.shape) for f, b in zip(self.factors, blocks)]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The point `(*batch, n)` made of the factors' points; leading dimensions broadcast."""
        blocks = [p if len(f.shape) == 1 else p.flatten(p.ndim - len(f.shape)) for f, p in zip(self.factors, parts)]
        batches = {b.shape[:-1] for b in blocks}
        if len(batches) > 1:
            batch = torch.broadcast_shapes(*batches)
            blocks = [b.expand(*batch, b.shape[-1]) for b in blocks]
        return torch.cat(blocks, dim=-1)

    def off(self, point: Tensor) -> Tensor:
        """Largest of the factors'."""
        return torch.stack([_off(f, x) for f, x in zip(self.factors, self.split(point))]).amax(0)

    def expectation(self) -> str:
        """The factors', one after the other."""
        return "; ".join(f.expectation() if isinstance(f, Space) else type(f).__name__ for f in self.factors)

    def finding(self, point: Tensor) -> str:
        """The first factor's that is off."""
        for i, (factor, x) in enumerate(zip(self.factors, self.split(point))):
            if not _off(factor, x) <= tolerance(point.dtype):
                return (factor.finding(x) if isinstance(factor, Space) else "a point off it") + f" in factor {i}"
        raise AssertionError("only called for a point that is off")

    def off_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Largest of the factors'."""
        offs = []
        for factor, u, x in zip(self.factors, self.split(vector), self.split(base_point)):
            if isinstance(factor, Space):
                offs.append(factor.off_tangent(u, x))
            else:
                test = partial(factor.is_tangent, atol=tolerance(vector.dtype))
                good = flattened(test, factor.shape, (), u, x).bool()
                offs.append(torch.where(good, 0.0, math.inf).to(u))
        return torch.stack(torch.broadcast_tensors(*offs)).amax(0)

    def tangent_expectation(self) -> str:
        """Tangent in each factor."""
        return "tangent in each factor"

    def projection(self, point: Tensor) -> Tensor:
        """Factor by factor, shape `(*batch, n)`."""
        parts = zip(self.factors, self.split(point))
        return self.join([_own(f, f.projection, x) for f, x in parts])

    def to_tangent(self, vector: Tensor, base_point: Tensor) -> Tensor:
        """Factor by factor, shape `(*batch, n)`."""
        parts = zip(self.factors, self.split(vector), self.split(base_point))
        return self.join([_own(f, f.to_tangent, u, x) for f, u, x in parts])

    def random_point(
        self,
        n_samples: int = 1,
        bound: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Independent random points of the factors, `(n_samples, n)`, or `(n,)` for one sample.

        A foreign factor is drawn by geomstats, from torch's global generator.
        """
        parts = []
        for factor in self.factors:
            if isinstance(factor, Space):
                parts.append(factor.random_point(n_samples, dtype=dtype, device=device, generator=generator))
            else:
                parts.append(
                    torch.as_tensor(factor.random_point(n_samples)).to(
                        dtype=dtype or torch.get_default_dtype(), device=device
                    )
                )
        return self.join(parts)

    @property
    def log_volume(self) -> float:
        """Sum of the factors', plus d/2 times the log of each weight."""
        _refuse_foreign("log_volume", self.factors)
        return sum(f.log_volume + 0.5 * f.dim * math.log(w) for f, w in zip(self.factors, self.weights))


def _off(factor: Manifold, point: Tensor) -> Tensor:
    """How far off a factor; foreign spaces answer 0 or infinity."""
    if isinstance(factor, Space):
        return factor.off(point)
    good = flattened(partial(factor.belongs, atol=tolerance(point.dtype)), factor.shape, (), point).bool()
    return torch.where(good, 0.0, math.inf).to(point)


def _own(factor: Manifold, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """A factor's function of points or vectors; foreign ones take one batch dimension only."""
    if isinstance(factor, Space):
        return function(*arguments)
    return flattened(function, factor.shape, factor.shape, *arguments).to(arguments[0])


def _refuse_foreign(name: str, factors: Sequence[Manifold]) -> None:
    foreign = [type(f).__name__ for f in factors if not isinstance(f, Space)]
    if foreign:
        raise NotImplementedError(f"{name}: geomstats does not know that of {', '.join(foreign)}, a factor")
