"""Laws that every space obeys, ours to the dtype's accuracy."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given

from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, check_points, check_tangent

from ..strategies import MANIFOLDS, RIEMANNIAN, point_pairs, random_points, times, tolerance

metric_scale = 8.0  # distances on the Aitchison simplex and products run to several units


def close(got, expected, factor=64.0):
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(got, expected, atol=tolerance(got.dtype, factor) * scale, rtol=0)


def tangent(space, x, seed):
    """Random tangent vectors of length up to 1, and within the injectivity radius."""
    rng = torch.Generator().manual_seed(3_000_000_000 + seed)  # never the points' own seed, nor their direction
    u = space.to_tangent(torch.randn(x.shape, dtype=x.dtype, generator=rng), x)
    length = torch.rand(len(x), dtype=x.dtype, generator=rng) * space.metric.injectivity_radius(x).clamp_max(1.0)
    return u * (length / space.metric.norm(u, x)).unsqueeze(-1)


@given(pair=point_pairs())
def test_points_are_on_the_manifold(pair):
    space, x, y = pair
    assert space.belongs(x).all()
    check_points(space, x=x, y=y)


@given(pair=point_pairs(RIEMANNIAN))
def test_exp_undoes_log(pair):
    space, x, y = pair
    u = space.metric.log(y, x)
    assert u.dtype == x.dtype
    check_tangent(space, x, u=u)
    close(space.metric.exp(u, x), y, 256)


@given(pair=point_pairs(), seed=st.integers(0, 1000))
def test_log_undoes_exp(pair, seed):
    space, x, _ = pair
    u = tangent(space, x, seed)
    v = space.metric.log(space.metric.exp(u, x), x)
    # the error is a length, measured where the vector lives
    gap = space.metric.norm(v - u, x)
    # near a face, a rounding of p is one of eps / sqrt p in the Fisher-Rao length, of eps / p in Aitchison's
    least = x.abs().amin(-1).clamp_max(1.0) if "Simplex" in repr(space) else 1.0
    assert (gap * least <= tolerance(x.dtype, 256) * (1 + x.abs().amax(-1))).all()


@given(pair=point_pairs(RIEMANNIAN))
def test_dist_is_the_length_of_the_log(pair):
    space, x, y = pair
    metric = space.metric
    close(metric.norm(metric.log(y, x), x), metric.dist(x, y), 256)
    close(metric.squared_dist(x, y), metric.dist(x, y) ** 2)
    close(metric.dist(y, x), metric.dist(x, y))


@given(pair=point_pairs(), seed=st.integers(0, 1000))
def test_triangle_inequality(pair, seed):
    space, x, y = pair
    z = random_points(space, 4, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    d = space.metric.dist
    assert (d(x, y) <= d(x, z) + d(z, y) + tolerance(x.dtype) * metric_scale).all()


@given(pair=point_pairs(), t=times)
def test_geodesic_stays_on_the_manifold_and_has_constant_speed(pair, t):
    space, x, y = pair
    points = space.metric.geodesic(x, y)(t.to(x.dtype))
    assert points.shape == (4, len(t), *space.shape)
    assert points.dtype == x.dtype
    assert space.belongs(points).all()
    walked = space.metric.dist(x.unsqueeze(-2), points)
    close(walked, t.to(x.dtype) * space.metric.dist(x, y).unsqueeze(-1), 256)


@given(pair=point_pairs())
def test_geodesic_joins_its_ends_and_both_ways_agree(pair):
    space, x, y = pair
    t = torch.tensor([0.0, 0.3, 1.0], dtype=x.dtype)
    path = space.metric.geodesic(x, y)(t)
    close(path[:, 0], x)
    close(path[:, 2], y)
    close(space.metric.geodesic(x, initial_tangent_vec=space.metric.log(y, x))(t), path, 256)
    close(space.metric.geodesic(y, x)(1 - t), path)


@given(pair=point_pairs(), seed=st.integers(0, 1000))
def test_transport_is_an_isometry_onto_the_tangent_space(pair, seed):
    space, x, y = pair
    metric = space.metric
    u, w = tangent(space, x, seed), tangent(space, x, seed + 1)
    moved = [metric.parallel_transport(a, x, end_point=y) for a in (u, w)]
    assert space.is_tangent(moved[0], y).all()
    close(metric.inner_product(*moved, y), metric.inner_product(u, w, x), 1024)


@given(pair=point_pairs())
def test_transport_carries_the_velocity_along(pair):
    space, x, y = pair
    metric = space.metric
    u = metric.log(y, x)
    close(metric.parallel_transport(u, x, end_point=y), -metric.log(x, y), 256)
    close(metric.parallel_transport(u, x, direction=u), -metric.log(x, y), 256)


@given(pair=point_pairs(), seed=st.integers(0, 1000))
def test_transport_there_and_back_is_the_identity(pair, seed):
    space, x, y = pair
    assume(not isinstance(space, Simplex) or bool((y > 0).all()))  # no vector off a face has coordinates there
    u = tangent(space, x, seed)
    there = space.metric.parallel_transport(u, x, end_point=y)
    back = space.metric.parallel_transport(there, y, end_point=x)
    gap = space.metric.norm(back - u, x)
    assert (gap <= tolerance(x.dtype, 1024)).all()


@given(pair=point_pairs(), seed=st.integers(0, 1000))
def test_inner_product_is_bilinear_symmetric_and_positive(pair, seed):
    space, x, _ = pair
    u, w = tangent(space, x, seed), tangent(space, x, seed + 1)
    inner = space.metric.inner_product
    close(inner(u, w, x), inner(w, u, x))
    close(inner(u + 2 * w, w, x), inner(u, w, x) + 2 * inner(w, w, x))
    assert (inner(u, u, x) >= 0).all()
    close(space.metric.norm(u, x) ** 2, inner(u, u, x))


@given(pair=point_pairs(RIEMANNIAN))
def test_gradient_of_squared_dist_is_exactly_zero_at_coincident_points(pair):
    space, x, _ = pair
    x, y = x.clone().requires_grad_(), x.clone().requires_grad_()
    space.metric.squared_dist(x, y).sum().backward()
    assert (x.grad == 0).all()
    assert (y.grad == 0).all()


@given(pair=point_pairs(RIEMANNIAN), t=times)
def test_gradients_are_finite(pair, t):
    space, x, y = pair
    metric = space.metric
    t = t.to(x.dtype)
    functions = [
        lambda x, y: metric.dist(x, y),
        lambda x, y: metric.squared_dist(x, y),
        lambda x, y: metric.log(y, x),
        lambda x, y: metric.exp(metric.log(y, x), x),
        lambda x, y: metric.geodesic(x, y)(t),
        lambda x, y: metric.parallel_transport(metric.log(y, x), x, end_point=y),
        lambda x, y: metric.norm(metric.log(y, x), x),
    ]
    for function in functions:
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        first = torch.autograd.grad(function(a, b).sum(), [a, b], create_graph=True, allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in first)
        total = sum(g.square().sum() for g in first if g is not None)
        if total.requires_grad:
            second = torch.autograd.grad(total, [a, b], allow_unused=True)
            assert all(g is None or g.isfinite().all() for g in second)


@given(seed=st.integers(0, 10**6), dim=st.integers(1, 30), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_rotation_is_an_isometry_of_the_sphere(seed, dim, dtype):
    rng = torch.Generator().manual_seed(seed)
    space = Hypersphere(dim)
    x, y = random_points(space, 8, dtype=dtype, generator=rng).chunk(2)
    q = torch.linalg.qr(torch.randn(dim + 1, dim + 1, dtype=torch.float64, generator=rng))[0].to(dtype)
    close(space.metric.dist(x @ q, y @ q), space.metric.dist(x, y))
    close(space.metric.log(y @ q, x @ q), space.metric.log(y, x) @ q, 256 / 0.05)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(["fisher_rao", "euclidean", "aitchison"]))
def test_permutation_is_an_isometry_of_the_simplex(seed, name):
    rng = torch.Generator().manual_seed(seed)
    space = Simplex(5, metric=name)
    p, q = random_points(space, 8, dtype=torch.float64, generator=rng).chunk(2)
    order = torch.randperm(6, generator=rng)
    close(space.metric.dist(p[:, order], q[:, order]), space.metric.dist(p, q))
    close(space.metric.log(q[:, order], p[:, order]), space.metric.log(q, p)[:, order])


@given(seed=st.integers(0, 10**6), name=st.sampled_from(["fisher_rao", "euclidean", "aitchison"]))
def test_simplex_projection_is_the_nearest_probability_vector(seed, name):
    rng = torch.Generator().manual_seed(seed)
    space = Simplex(4, metric=name)
    z = 3 * torch.randn(6, 5, dtype=torch.float64, generator=rng)
    p = space.projection(z)
    assert space.belongs(p).all()
    # optimality: (z - p).(q - p) <= 0 for every q of the simplex; the vertices suffice
    gaps = torch.eye(5, dtype=torch.float64) - p.unsqueeze(-2)
    assert ((z - p).unsqueeze(-2) * gaps).sum(-1).max() <= 1e-12
    close(space.projection(p), p)


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_injectivity_radius_is_reached_and_not_passed(space):
    """The ball of that radius around a point embeds: log undoes exp just inside it."""
    rng = torch.Generator().manual_seed(3)
    x = random_points(space, 50, dtype=torch.float64, generator=rng)
    radius = space.metric.injectivity_radius(x)
    assert radius.shape == (50,)
    finite = torch.where(radius.isfinite(), radius, 2.0)
    u = space.to_tangent(torch.randn(x.shape, dtype=x.dtype, generator=rng), x)
    u = u * (0.99 * finite / space.metric.norm(u, x)).unsqueeze(-1)
    y = space.metric.exp(u, x)
    assert space.belongs(y).all()
    assert (space.metric.norm(space.metric.log(y, x) - u, x) <= 1e-7).all()
    assert space.metric.injectivity_radius() >= float(radius.max()) - 1e-12


def test_euclidean_radius_is_infinite():
    assert Euclidean(2).metric.injectivity_radius() == math.inf
