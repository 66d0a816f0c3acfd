"""Pulled-back metrics: in closed form through a diffeomorphism, integrated for an immersion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions.transforms import AffineTransform, ComposeTransform, StickBreakingTransform, TanhTransform

from manifoldflow.errors import CutLocusError
from manifoldflow.manifolds import Euclidean, Hypersphere, Pullback, Simplex

from ..strategies import stereographic


def sphere_chart(z):
    rho = 2 / (1 + (z * z).sum(-1, keepdim=True))
    return torch.cat([rho * z, 1 - rho], -1)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_stereographic_metric_is_conformal():
    z = normal(6, 3)
    rho = 2 / (1 + (z * z).sum(-1))
    matrix = stereographic(3).metric.metric_matrix(z)
    torch.testing.assert_close(matrix, rho[:, None, None] ** 2 * torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(stereographic(3).metric.log_volume_form(z), 3 * rho.log())


@given(seed=st.integers(0, 1000))
def test_the_map_is_an_isometry(seed):
    space, sphere = stereographic(2), Hypersphere(2)
    x, y = normal(2, 4, 2, seed=seed)
    a, b = sphere_chart(x), sphere_chart(y)
    torch.testing.assert_close(space.metric.dist(x, y), sphere.metric.dist(a, b))
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    torch.testing.assert_close(sphere_chart(space.metric.geodesic(x, y)(t)), sphere.metric.geodesic(a, b)(t))
    u = space.metric.log(y, x)
    torch.testing.assert_close(space.metric.push(x, u)[1], sphere.metric.log(b, a), atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(
        sphere_chart(space.metric.geodesic(x, initial_tangent_vec=u)(t)), sphere.metric.geodesic(a, b)(t)
    )
    moved = space.metric.parallel_transport(u, x, end_point=y)
    torch.testing.assert_close(space.metric.norm(moved, y), space.metric.norm(u, x))
    torch.testing.assert_close(space.metric.parallel_transport(u, x, direction=u), moved, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("target", [Hypersphere(2), Simplex(2), Euclidean(2)], ids=repr)
def test_transport_and_injectivity_radius_follow_from_the_isometry(target):
    """Push forward, transport in the target, pull back: through charts of a sphere, a simplex and a plane."""
    space = {
        "Hypersphere": stereographic(2),
        "Simplex": Pullback(target, StickBreakingTransform()),
        "Euclidean": Pullback(target, ComposeTransform([TanhTransform(), AffineTransform(0.5, 2.0)])),
    }[type(target).__name__]
    metric = space.metric
    x, y, u, w = 0.5 * normal(4, 3, 2)
    a, b = space.map(x), space.map(y)
    v = metric.push(x, u)[1]
    moved = metric.parallel_transport(u, x, end_point=y)
    torch.testing.assert_close(metric.push(y, moved)[1], target.metric.parallel_transport(v, a, end_point=b))
    other = metric.parallel_transport(w, x, end_point=y)
    torch.testing.assert_close(metric.inner_product(moved, other, y), metric.inner_product(u, w, x))
    along = metric.parallel_transport(u, x, direction=metric.log(y, x))
    torch.testing.assert_close(along, moved, atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(metric.parallel_transport(moved, y, end_point=x), u)

    radius = metric.injectivity_radius(x)
    torch.testing.assert_close(radius, target.metric.injectivity_radius(a))
    assert metric.injectivity_radius() == target.metric.injectivity_radius()
    if type(target) is not Euclidean:  # the whole plane has an infinite one, a piece of it none that large
        u = u * (0.9 * radius / metric.norm(u, x)).unsqueeze(-1)
        torch.testing.assert_close(metric.log(metric.exp(u, x), x), u, atol=1e-9, rtol=1e-7)


def test_the_targets_cut_locus_is_refused_or_chosen():
    space = stereographic(2)
    x = torch.tensor([[0.5, 0.1]], dtype=torch.float64)
    y = -x / (x * x).sum()  # the antipode's coordinates
    u = normal(1, 2)
    for call in (space.metric.log(y, x, cut_locus="choose"), space.metric.geodesic(x, y, cut_locus="choose")(0.5)):
        assert call.isfinite().all()
    with pytest.raises(CutLocusError, match=r"antipodes at row 0; .*cut_locus='choose'"):
        space.metric.parallel_transport(u, x, end_point=y)
    moved = space.metric.parallel_transport(u, x, end_point=y, cut_locus="choose")
    torch.testing.assert_close(space.metric.norm(moved, y), space.metric.norm(u, x))


def test_a_geodesic_decoded_through_a_flow_is_a_geodesic_of_the_data_metric():
    """The theorem of the docs: with f from data to the base manifold, decode(geodesic) has zero acceleration."""
    flow = ComposeTransform([TanhTransform(), AffineTransform(0.5, 2.0)])
    space = Pullback(Euclidean(2), flow)
    x, y = 0.5 * normal(2, 3, 2)
    path = space.metric.geodesic(x, y)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    straight = flow(path(t))
    torch.testing.assert_close(straight, torch.lerp(flow(x)[:, None], flow(y)[:, None], t[:, None]))
    # and the integrated geodesic of the metric matrix alone runs along it
    alone = Pullback(Euclidean(2), lambda x: flow(x), steps=16)
    torch.testing.assert_close(alone.metric.exp(space.metric.log(y, x), x), y, atol=1e-5, rtol=0)


def test_immersed_sphere_agrees_with_the_closed_form():
    closed, immersed = stereographic(2), Pullback(Hypersphere(2), sphere_chart, steps=8)
    x = 0.3 * normal(3, 2)
    y = x + 0.2 * normal(3, 2, seed=1)
    u = closed.metric.log(y, x)
    torch.testing.assert_close(immersed.metric.exp(u, x), y, atol=1e-7, rtol=0)
    torch.testing.assert_close(immersed.metric.log(y, x), u, atol=1e-7, rtol=0)
    torch.testing.assert_close(immersed.metric.inner_product(u, u, x), closed.metric.inner_product(u, u, x))


def test_integration_converges_with_order_four():
    closed = stereographic(2)
    x, u = 0.3 * normal(2, 2), normal(2, 2, seed=1)
    end = closed.metric.exp(u, x)
    errors = [(Pullback(Hypersphere(2), sphere_chart, steps=k).metric.exp(u, x) - end).norm() for k in (4, 8)]
    assert 10 < errors[0] / errors[1] < 25


def test_a_decoder_into_more_dimensions():
    """A paraboloid: arc length along a meridian by quadrature."""
    space = Pullback(Euclidean(3), lambda z: torch.cat([z, (z * z).sum(-1, keepdim=True)], -1), dim=2, steps=16)
    x, y = torch.tensor([[0.1, 0.0]], dtype=torch.float64), torch.tensor([[0.6, 0.0]], dtype=torch.float64)
    r = torch.linspace(0.1, 0.6, 10001, dtype=torch.float64)
    length = torch.trapezoid((1 + 4 * r * r).sqrt(), r)
    torch.testing.assert_close(space.metric.dist(x, y)[0], length, atol=1e-6, rtol=0)
    matrix = space.metric.metric_matrix(y)[0]
    torch.testing.assert_close(matrix, torch.diag(torch.tensor([1 + 4 * 0.36, 1.0], dtype=torch.float64)))


def test_shooting_that_does_not_converge_is_refused():
    space = Pullback(Hypersphere(2), sphere_chart, steps=1)
    x = torch.tensor([[10.0, 0.0]], dtype=torch.float64)
    with pytest.raises(CutLocusError, match=r"shooting .* did not converge at row 0"):  # raised by its log
        space.metric.dist(x, -x + 0.1)
    assert space.metric.log_and_cut(-x + 0.1, x)[1].all()


def test_what_is_not_implemented_says_so():
    space = Pullback(Hypersphere(2), sphere_chart)
    x = normal(1, 2)
    with pytest.raises(NotImplementedError, match="ladder_parallel_transport"):
        space.metric.parallel_transport(x, x, direction=x)
    with pytest.raises(NotImplementedError, match="injectivity_radius"):
        space.metric.injectivity_radius()


def test_bad_dimensions_are_refused():
    with pytest.raises(ValueError, match="dim: expected at most 2, the space's dimension, got 3"):
        Pullback(Hypersphere(2), sphere_chart, dim=3)
    with pytest.raises(ValueError, match="dim: expected 2, the space's dimension, got 1"):
        Pullback(Hypersphere(2), sphere_chart, dim=1, inverse=lambda s: s)
    with pytest.raises(ValueError, match="expected an integer >= 1"):
        Pullback(Hypersphere(2), sphere_chart, steps=0)
