"""Spaces, points and times for property tests. A new manifold joins by one line and meets every law."""

import math

import hypothesis.strategies as st
import torch
from torch import Tensor

from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Pullback, Simplex, Torus

__all__ = ["DTYPES", "MANIFOLDS", "RIEMANNIAN", "point_pairs", "random_points", "stereographic", "times", "tolerance"]

DTYPES = [torch.float32, torch.float64]


def stereographic(dim: int) -> Pullback:
    """The sphere's metric in stereographic coordinates: a pullback with a known inverse."""

    def chart(z: Tensor) -> Tensor:
        rho = 2 / (1 + (z * z).sum(-1, keepdim=True))
        return torch.cat([rho * z, 1 - rho], -1)

    return Pullback(Hypersphere(dim), chart, inverse=lambda s: s[..., :-1] / (1 - s[..., -1:]))


MANIFOLDS = [
    Euclidean(3),
    Hypersphere(1),
    Hypersphere(2),
    Hypersphere(20),
    Torus(1),
    Torus(3),
    Simplex(1),
    Simplex(4),
    Simplex(4, metric="euclidean"),
    Simplex(4, metric="aitchison"),
    Product([Hypersphere(2), Simplex(2), Euclidean(2)], weights=[1.0, 2.0, 0.5]),
]
# Their coordinates stretch without bound, so that only relative laws hold there to the dtype's accuracy.
RIEMANNIAN = [*MANIFOLDS, stereographic(2)]

times = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5).map(torch.tensor)


def tolerance(dtype: torch.dtype, factor: float = 64.0) -> float:
    """A few roundings of quantities near 1."""
    return factor * torch.finfo(dtype).eps


def random_points(space, n: int, *, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Points `(n, *space.shape)`."""
    return space.random_point(n, dtype=dtype, generator=generator).reshape(n, *space.shape)


@st.composite
def point_pairs(draw, manifolds=MANIFOLDS, dtypes=DTYPES):
    """A manifold and two batches of four points on it; equal and nearly equal points are drawn on purpose."""
    space = draw(st.sampled_from(manifolds))
    dtype = draw(st.sampled_from(dtypes))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    start = random_points(space, 4, dtype=dtype, generator=rng)
    end = random_points(space, 4, dtype=dtype, generator=rng)
    kind = draw(st.sampled_from(["independent", "equal", "near"]))
    if kind == "equal":
        end = start.clone()
    elif kind == "near":
        distance = 10 ** draw(st.floats(math.log10(torch.finfo(dtype).eps) + 2, -1))
        direction = space.to_tangent(torch.randn(end.shape, dtype=dtype, generator=rng), start)
        size = space.metric.norm(direction, start)
        shift = direction * (distance / torch.where(size > 0, size, 1.0)).unsqueeze(-1)
        end = space.projection(start + shift)
        if not space.belongs(end).all():
            end = start.clone()
    return space, start, end
