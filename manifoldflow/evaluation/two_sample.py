"""A test of two samples on a manifold: could they come from one law?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import as_tensor, check_integer, check_number
from ..files.typed_json import Record
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, check_points

__all__ = ["TwoSampleTest", "flat_coordinates", "two_sample_test"]

_SCALES = 0.125, 0.25, 0.5, 1.0, 2.0


@dataclass(frozen=True)
class TwoSampleTest(Record):
    """What a two-sample test found.

    Args:
        mmd: The squared maximum mean discrepancy, 0 only where both samples are equal.
        p_value: Share of the permutations, the given labels among them, whose discrepancy is as large.
        counts: Points of both samples that took part.
        widths: Of the kernels whose sum was taken.
        permutations: How many labels were drawn.
    """

    mmd: float
    p_value: float
    counts: tuple[int, int]
    widths: tuple[float, ...]
    permutations: int

    def __str__(self) -> str:
        return f"squared MMD {self.mmd:.2g}, p = {self.p_value:.3f}"


@singledispatch
def flat_coordinates(space: Manifold, points: Tensor) -> Tensor:
    """Points `(N, m)` of R^m whose Gaussian kernel is a kernel of the space.

    On the sphere they are the points themselves, which makes the kernel that of von Mises and Fisher,
    exp(kappa (x.y - 1)) with kappa = 1 / width^2; on tori cosines and sines, for a product of such kernels; on
    simplices square roots, which are points of a sphere; in R^d the points.

    Raises:
        ValueError: A space of which no such coordinates are known.
    """
    raise ValueError(f"space: expected a sphere, torus, simplex, Euclidean space or a product of these, got {space!r}")


@flat_coordinates.register(Hypersphere)
@flat_coordinates.register(Euclidean)
def _(space: Manifold, points: Tensor) -> Tensor:
    return points


@flat_coordinates.register
def _(space: Torus, points: Tensor) -> Tensor:
    return torch.cat([points.cos(), points.sin()], dim=-1)


@flat_coordinates.register
def _(space: Simplex, points: Tensor) -> Tensor:
    return points.clamp_min(0).sqrt()


@flat_coordinates.register
def _(space: Product, points: Tensor) -> Tensor:
    parts = points.split([factor.shape[0] for factor in space.factors], dim=-1)
    return torch.cat([flat_coordinates(factor, part) for factor, part in zip(space.factors, parts)], dim=-1)


def two_sample_test(
    first: Any,
    second: Any,
    *,
    space: Manifold,
    widths: Sequence[float] | None = None,
    permutations: int = 499,
    most: int = 2000,
    generator: torch.Generator | None = None,
) -> TwoSampleTest:
    r"""Test whether two samples come from one law, by the maximum mean discrepancy of a kernel of the space.

    .. math:: \mathrm{MMD}^2 = \frac1{m^2} \sum k(x_i, x_j) + \frac1{n^2} \sum k(y_i, y_j) - \frac2{mn} \sum k(x_i, y_j)

    The kernel is a sum of von Mises-Fisher kernels on spheres, of Gaussian ones in R^d, see `flat_coordinates`. The p
    value is that of permuted labels: exact for any number of points, if those of each sample are independent.

    Args:
        first: Points `(m, *event)`, such as draws of a model.
        second: Points `(n, *event)`, such as held-out data.
        space: Where they live.
        widths: Of the kernels, in the units of the flat coordinates; None for the median distance times 1/8, 1/4, 1/2,
            1 and 2.
        permutations: How many; the smallest p value is 1 / (permutations + 1).
        most: Of larger samples so many random points take part.
        generator: Of the permutations; torch's global one if not given.

    Raises:
        ValueError: Fewer than two points in a sample, a width that is not positive, an unknown space.
        OffManifoldError: A point off the space.

    Reference: A. Gretton et al., A kernel two-sample test, JMLR 13, 2012, equation 5 and section 5; the p value as in
    B. Phipson and G. Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010.

    >>> draws = mf.distributions.SphericalUniform(2).sample((200,))
    >>> two_sample_test(draws, -draws.abs(), space=mf.Hypersphere(2)).p_value
    0.002
    """
    check_integer("permutations", permutations, 19)
    check_integer("most", most, 2)
    x, y = (_some(name, points, space, most, generator) for name, points in (("first", first), ("second", second)))
    joined = flat_coordinates(space, torch.cat([x, y.to(x)])).double()
    squared = torch.cdist(joined, joined, compute_mode="donot_use_mm_for_euclid_dist").square()
    chosen = _median_widths(squared) if widths is None else [check_number("widths", w, positive=True) for w in widths]
    kernel = torch.stack([(-squared / (2 * width**2)).exp() for width in chosen]).mean(0)
    signs = _signs(len(x), len(y), permutations, generator, kernel)
    values = (signs * (kernel @ signs)).sum(0)
    beyond = int((values[1:] >= values[0] * (1 - 1e-9)).sum())  # the same sum in another order is no smaller
    return TwoSampleTest(
        mmd=max(0.0, float(values[0])),
        p_value=(1 + beyond) / (1 + permutations),
        counts=(len(x), len(y)),
        widths=tuple(chosen),
        permutations=permutations,
    )


def _some(name: str, points: Any, space: Manifold, most: int, generator: torch.Generator | None) -> Tensor:
    """At most so many of the points, as a checked tensor."""
    tensor = as_tensor(name, points)
    check_points(space, **{name: tensor})
    if tensor.ndim != 2 or len(tensor) < 2:
        raise ValueError(f"{name}: expected points (m, n) with m >= 2, got shape {tuple(tensor.shape)}")
    if len(tensor) <= most:
        return tensor
    return tensor[torch.randperm(len(tensor), generator=generator)[:most].to(tensor.device)]


def _median_widths(squared: Tensor) -> list[float]:
    apart = squared[squared > 0]
    middle = math.sqrt(float(apart.median())) if len(apart) else 1.0
    return [scale * middle for scale in _SCALES]


def _signs(m: int, n: int, permutations: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Columns `(m + n, 1 + permutations)` of 1/m and -1/n: the given labels, then permuted ones."""
    given = torch.tensor([1 / m] * m + [-1 / n] * n, dtype=torch.float64)
    orders = torch.stack([torch.randperm(m + n, generator=generator) for _ in range(permutations)])
    return torch.cat([given[None], given[orders]]).T.to(like)
