"""Antipodes and boundaries: refused by name, or chosen and documented; never silently wrong."""

import math

import pytest
import torch

from manifoldflow.errors import CutLocusError, OffManifoldError
from manifoldflow.manifolds import Hypersphere, Product, Simplex, check_tangent, frechet_mean

from ..strategies import DTYPES

T = torch.tensor([0.0, 0.5, 1.0])


def antipodes(dtype, n=4):
    rng = torch.Generator().manual_seed(0)
    x = Hypersphere(n - 1).random_point(6, dtype=dtype, generator=rng)
    y = Hypersphere(n - 1).random_point(6, dtype=dtype, generator=rng)
    y[2], y[5] = -x[2], -x[5]
    return x, y


@pytest.mark.parametrize("dtype", DTYPES)
def test_antipodes_are_refused_with_their_rows(dtype):
    metric = Hypersphere(3).metric
    x, y = antipodes(dtype)
    for call in (
        lambda: metric.log(y, x),
        lambda: metric.geodesic(x, y),
        lambda: metric.parallel_transport(metric.log(x.roll(1, 0), x), x, end_point=y),
    ):
        with pytest.raises(CutLocusError, match=r"point: .*antipodes at rows 2, 5; .*cut_locus='choose'"):
            call()


def test_antipodes_up_to_rounding_are_refused_and_resolved_pairs_are_not():
    metric = Hypersphere(1).metric
    for dtype in DTYPES:
        eps = torch.finfo(dtype).eps
        x = torch.tensor([1.0, 0.0], dtype=dtype)
        with pytest.raises(CutLocusError, match="the only row"):
            metric.log(torch.tensor([-1.0, eps], dtype=dtype), x)
        y = torch.tensor([-1.0, 100 * eps], dtype=dtype)
        torch.testing.assert_close(metric.log(y, x), torch.tensor([0.0, math.pi], dtype=dtype), atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 4])
def test_chosen_direction_is_deterministic_and_right(dtype, n):
    space = Hypersphere(n - 1)
    metric = space.metric
    x, y = antipodes(dtype, n)
    tol = {"atol": 64 * torch.finfo(dtype).eps, "rtol": 0}
    u = metric.log(y, x, cut_locus="choose")
    assert torch.equal(u, metric.log(y, x, cut_locus="choose"))
    assert space.is_tangent(u, x).all()
    torch.testing.assert_close(metric.norm(u, x), metric.dist(x, y), **tol)
    torch.testing.assert_close(metric.exp(u, x), y, **tol)
    path = metric.geodesic(x, y, cut_locus="choose")(T.to(dtype))
    torch.testing.assert_close(path[:, 1], metric.exp(u / 2, x), **tol)
    torch.testing.assert_close(path[:, 2], y, **tol)
    moved = metric.parallel_transport(u, x, end_point=y, cut_locus="choose")
    torch.testing.assert_close(moved, metric.parallel_transport(u, x, direction=u), **tol)


def test_dist_is_exactly_pi_at_antipodes():
    for dtype in DTYPES:
        x = Hypersphere(3).random_point(5, dtype=dtype)
        assert (Hypersphere(3).metric.dist(x, -x) == torch.tensor(math.pi, dtype=dtype)).all()


def test_unknown_options_are_refused():
    x = torch.eye(3)
    with pytest.raises(ValueError, match="cut_locus: expected 'raise' or 'choose', got 'ignore'"):
        Hypersphere(2).metric.log(x, x, cut_locus="ignore")
    with pytest.raises(ValueError, match="boundary: expected 'raise' or 'reflect', got 'clip'"):
        Simplex(2).metric.exp(x, x, boundary="clip")
    with pytest.raises(ValueError, match="metric: expected one of 'fisher_rao', 'euclidean', 'aitchison', got 'kl'"):
        Simplex(2, metric="kl")
    with pytest.raises(ValueError, match="dim: expected an integer >= 1, got 0"):
        Hypersphere(0)


@pytest.mark.parametrize("space", [Hypersphere(2), Simplex(2), Product([Hypersphere(1), Hypersphere(1)])], ids=repr)
def test_one_way_of_naming_a_geodesic(space):
    x, y = space.random_point(2)
    u = space.metric.log(y, x)
    for both in ({}, {"end_point": y, "initial_tangent_vec": u}):
        with pytest.raises(ValueError, match="geodesic: expected exactly one of"):
            space.metric.geodesic(x, **both)
    for both in ({}, {"end_point": y, "direction": u}):
        with pytest.raises(ValueError, match="parallel_transport: expected exactly one of"):
            space.metric.parallel_transport(u, x, **both)


@pytest.mark.parametrize("dtype", DTYPES)
def test_fisher_rao_on_the_boundary(dtype):
    """Between vertices pi; a face is totally geodesic; geodesics from the boundary are the sphere's."""
    metric = Simplex(2).metric
    eye = torch.eye(3, dtype=dtype)
    tol = {"atol": 16 * torch.finfo(dtype).eps, "rtol": 0}
    torch.testing.assert_close(metric.dist(eye[0], eye[1]), torch.tensor(math.pi, dtype=dtype), **tol)
    path = metric.geodesic(eye[0], eye[1])(torch.linspace(0, 1, 5, dtype=dtype))
    angle = torch.linspace(0, math.pi / 2, 5, dtype=dtype)
    torch.testing.assert_close(path, torch.stack([angle.cos() ** 2, angle.sin() ** 2, 0 * angle], -1), **tol)
    p, q = torch.tensor([0.0, 0.4, 0.6], dtype=dtype), torch.tensor([0.3, 0.3, 0.4], dtype=dtype)
    sphere = Hypersphere(2).metric.geodesic(p.sqrt(), q.sqrt())(T.to(dtype))
    torch.testing.assert_close(metric.geodesic(p, q)(T.to(dtype)), sphere**2, **tol)
    torch.testing.assert_close(metric.geodesic(p, q)(T.to(dtype))[-1], q, **tol)
    # towards the boundary there is a log, and within a face too
    u = metric.log(p, q)
    torch.testing.assert_close(metric.exp(u, q), p, **tol)
    face = torch.tensor([0.0, 0.7, 0.3], dtype=dtype)
    torch.testing.assert_close(metric.exp(metric.log(face, p), p), face, **tol)
    torch.testing.assert_close(metric.norm(metric.log(face, p), p), metric.dist(face, p), **tol)


def test_fisher_rao_log_into_the_interior_is_refused_at_the_boundary():
    metric = Simplex(2).metric
    p = torch.tensor([[0.2, 0.2, 0.6], [0.0, 0.4, 0.6]])
    q = torch.tensor([[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]])
    with pytest.raises(OffManifoldError, match=r"base_point: .*zeros at row 1; use geodesic"):
        metric.log(q, p)
    assert metric.log(q, p, cut_locus="choose")[1, 0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_fisher_rao_transport_off_a_face_is_refused_and_within_it_exact(dtype):
    """On the boundary the coordinates hold only what stays in the face; the rest is never dropped in silence."""
    metric = Simplex(2).metric
    p, q = torch.tensor([[0.2, 0.2, 0.6], [0.0, 0.3, 0.7]], dtype=dtype), torch.tensor([0.0, 0.4, 0.6], dtype=dtype)
    u = torch.tensor([[-0.2, 0.1, 0.1], [0.0, 0.1, -0.1]], dtype=dtype)
    with pytest.raises(OffManifoldError, match=r"tangent_vec: .*face .* at row 0; .*cut_locus='choose'"):
        metric.parallel_transport(u, p, end_point=q)
    chosen = metric.parallel_transport(u, p, end_point=q, cut_locus="choose")
    assert (chosen[:, 0] == 0).all()
    moved = metric.parallel_transport(u[1], p[1], end_point=q)
    torch.testing.assert_close(moved, chosen[1])
    torch.testing.assert_close(metric.norm(moved, q), metric.norm(u[1], p[1]))
    torch.testing.assert_close(metric.parallel_transport(u[1], p[1], direction=metric.log(q, p[1])), moved)


def test_fisher_rao_vectors_off_a_face_are_not_tangent():
    space, q = Simplex(2), torch.tensor([0.0, 0.4, 0.6])
    u = torch.tensor([[-0.2, 0.1, 0.1], [0.0, 0.1, -0.1]])
    assert space.is_tangent(u, q).tolist() == [False, True]
    assert space.is_tangent(space.to_tangent(u, q), q).all()
    assert space.is_tangent(u).all()
    assert Simplex(2, metric="euclidean").is_tangent(u, q).all()
    with pytest.raises(OffManifoldError, match=r"none where the base point's is 0, .* at row 0"):
        check_tangent(space, q, u=u)


def test_large_coordinates_have_a_nearest_probability_vector():
    z = torch.tensor([[1e10, 0.0, 0.0], [1e10, 1e10, 3.0], [-1e10, -1e10, -1e10]])
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3] * 3])
    torch.testing.assert_close(Simplex(2).projection(z), expected)


def test_fisher_rao_exp_past_the_boundary():
    metric = Simplex(2).metric
    p, q = torch.tensor([[0.2, 0.2, 0.6]] * 2), torch.tensor([[0.3, 0.3, 0.4], [0.0, 0.3, 0.7]])
    u = metric.log(q, p)
    with pytest.raises(OffManifoldError, match=r"tangent_vec: .*past its boundary at row 1; .*boundary='reflect'"):
        metric.exp(1.5 * u, p)
    reflected = metric.exp(1.5 * u, p, boundary="reflect")
    assert Simplex(2).belongs(reflected).all()
    with pytest.raises(OffManifoldError, match=r"t: .*past its boundary"):
        metric.geodesic(p, q)(torch.tensor([1.5]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_euclidean_simplex_takes_every_boundary_point(dtype):
    metric = Simplex(2, metric="euclidean").metric
    eye = torch.eye(3, dtype=dtype)
    torch.testing.assert_close(metric.geodesic(eye[0], eye[1])(T.to(dtype))[1], (eye[0] + eye[1]) / 2)
    torch.testing.assert_close(metric.exp(metric.log(eye[1], eye[0]), eye[0]), eye[1])


def test_aitchison_refuses_zeros_by_name():
    metric = Simplex(2, metric="aitchison").metric
    p, q = torch.tensor([[0.2, 0.2, 0.6], [0.5, 0.5, 0.0]]), torch.tensor([[0.3, 0.3, 0.4]] * 2)
    refused = {
        "point": lambda: metric.log(p, q),
        "base_point": lambda: metric.log(q, p),
        "point_a": lambda: metric.dist(p, q),
        "end_point": lambda: metric.geodesic(q, p),
        "initial_point": lambda: metric.geodesic(p, q),
    }
    for name, call in refused.items():
        with pytest.raises(OffManifoldError, match=rf"^{name}: .*Aitchison.*row 1; use the Fisher-Rao"):
            call()
    with pytest.raises(OffManifoldError, match="base_point"):
        metric.exp(torch.zeros(2, 3), p)
    assert not Simplex(2, metric="aitchison").belongs(p)[1]


@pytest.mark.parametrize("name", ["fisher_rao", "aitchison"])
def test_tiny_coordinates_keep_their_relative_accuracy(name):
    metric = Simplex(2, metric=name).metric
    p = torch.tensor([1e-30, 0.4, 0.6], dtype=torch.float64)
    q = torch.tensor([3e-30, 0.3, 0.7], dtype=torch.float64)
    middle = metric.geodesic(p, q)(0.5)[0]
    if name == "aitchison":
        raw = (p * q).sqrt()
        expected = raw / raw.sum()
    else:
        raw = (p.sqrt() + q.sqrt()) ** 2
        expected = raw / raw.sum()
    torch.testing.assert_close(middle, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(metric.exp(metric.log(q, p), p), q, rtol=1e-11, atol=0)


def test_product_passes_on_what_its_factors_refuse():
    space = Product([Hypersphere(2), Simplex(1)])
    x = torch.tensor([[0.0, 0.6, 0.8, 0.3, 0.7]])
    y = torch.tensor([[0.0, -0.6, -0.8, 0.5, 0.5]])
    for refused in (space.metric.log, space.metric.geodesic):
        with pytest.raises(CutLocusError, match="cut_locus='choose'"):
            refused(y, x)
    assert space.metric.log(y, x, cut_locus="choose").isfinite().all()
    u = space.random_tangent_vec(x)
    with pytest.raises(CutLocusError, match="cut_locus='choose'"):
        space.metric.parallel_transport(u, x, end_point=y)
    moved = space.metric.parallel_transport(u, x, end_point=y, cut_locus="choose")
    torch.testing.assert_close(space.metric.norm(moved, y), space.metric.norm(u, x))


def test_frechet_mean_of_antipodes_is_refused():
    x = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    with pytest.raises(CutLocusError, match="antipod"):
        frechet_mean(Hypersphere(2), x)


def test_injectivity_radius_of_a_rounded_boundary_point_is_zero():
    p = torch.tensor([[0.5 + 1e-9, -1e-9, 0.5], [0.5, 0.0, 0.5], [0.25, 0.25, 0.5]], dtype=torch.float64)
    assert Simplex(2).metric.injectivity_radius(p).tolist() == [0.0, 0.0, pytest.approx(torch.pi / 3)]
