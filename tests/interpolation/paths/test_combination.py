"""Combinations, grids and subspaces: values, corners, shapes, refusals. Their laws are tested in test_laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher
from manifoldflow.errors import OffManifoldError
from manifoldflow.interpolation import (
    CauchyLinear,
    Matched,
    OptimalTransport,
    combine,
    frechet_combine,
    grid,
    subspace,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex


def test_as_printed():
    base = Gaussian(torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([1.0, 2.0, 3.0]).double())
    x, w = base.sample((4,)), torch.tensor([0.5, 2.0, -1.0, 0.1]).double()
    alpha, root = w.sum(), w.square().sum().sqrt()
    wanted = (1 - alpha / root) * base.loc + (w @ x) / root
    assert torch.allclose(combine(x, w, base=base), wanted)


def test_of_two_gaussian_points_it_is_the_matched_path():
    base = Gaussian(torch.randn(5), 2.0)
    x = base.sample((2,))
    t = torch.linspace(0, 1, 7)
    assert torch.allclose(combine(x, torch.stack([1 - t, t], -1), base=base), Matched(base, x[0], x[1])(t), atol=1e-6)


@pytest.mark.parametrize(
    "base",
    [
        Gaussian(torch.zeros(4)),
        VonMisesFisher(torch.eye(4)[0], 3.0),
        Dirichlet(torch.full((4,), 2.0)),
        SphericalUniform(3),
    ],
    ids=lambda b: type(b).__name__,
)
def test_one_weight_is_the_point_itself_and_scale_does_not_matter(base):
    x = base.sample((6, 3))
    assert torch.equal(combine(x, torch.eye(3), base=base), x)
    w = torch.tensor([0.2, 0.5, 0.3])
    one, other = (combine(x, s * w, base=base, generator=torch.Generator().manual_seed(0)) for s in (1.0, 1e3))
    assert torch.allclose(one, other, atol=1e-5)
    if hasattr(base.manifold, "belongs"):
        assert base.manifold.belongs(one).all()


@given(
    batch=st.sampled_from([(), (5,), (2, 3), (0,)]),
    combinations=st.sampled_from([(), (4,), (2, 3)]),
    event=st.sampled_from([(6,), (2, 3, 3)]),
    n=st.integers(2, 4),
)
def test_shapes(batch, combinations, event, n):
    points, weights = torch.randn(*batch, n, *event), torch.rand(*combinations, n) + 0.1
    assert combine(points, weights, event_dim=len(event)).shape == (*batch, *combinations, *event)


@pytest.mark.parametrize("space", [Euclidean(3), Hypersphere(3), Simplex(3)], ids=repr)
def test_frechet_means(space):
    points = space.random_point(8).reshape(2, 4, -1)
    weights = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]])
    means = frechet_combine(space, points, weights)
    assert means.shape == (2, 2, *space.shape)
    assert space.belongs(means).all()

    def cost(y):  # of one mean for each set and combination
        return (weights * space.metric.squared_dist(points[:, None], y[:, :, None])).sum(-1)

    for _ in range(5):
        direction = space.to_tangent(0.02 * torch.randn(means.shape), means)
        assert (cost(space.projection(means + direction)) > cost(means)).all()


def test_frechet_mean_of_two_is_the_geodesic():
    space = Hypersphere(5)
    points = space.random_point(2)
    t = torch.linspace(0, 1, 5)
    means = frechet_combine(space, points, torch.stack([1 - t, t], -1))
    assert torch.allclose(means, space.metric.geodesic(points[0], points[1])(t), atol=1e-5)


@pytest.mark.parametrize("corners", [3, 4])
def test_grid_has_the_latents_in_its_corners(corners):
    points = torch.randn(2, corners, 4, 8, 8)
    found = grid(points, 3, 5, event_dim=3)
    assert found.shape == (2, 3, 5, 4, 8, 8)
    assert torch.equal(found[:, 0, 0], points[:, 0])
    assert torch.equal(found[:, 0, -1], points[:, 1])
    assert torch.equal(found[:, -1, 0], points[:, 2])
    if corners == 4:
        assert torch.equal(found[:, -1, -1], points[:, 3])


def test_grid_on_a_space():
    space = Hypersphere(2)
    points = space.random_point(4)
    found = grid(points, 3, 3, space=space)
    assert space.belongs(found).all()
    assert torch.allclose(found[0, 0], points[0], atol=1e-6)
    assert torch.allclose(found[-1, -1], points[3], atol=1e-6)


def test_subspace_coordinates_come_back():
    """Coordinates of norm c give a latent whose projection on the basis is along them."""
    points = torch.randn(3, 200, dtype=torch.float64)
    basis = torch.linalg.qr(points.T).Q
    coordinates = torch.randn(5, 3, dtype=torch.float64)
    found = subspace(points, coordinates)
    along = found @ basis
    assert torch.allclose(
        along / along.norm(dim=-1, keepdim=True), coordinates / coordinates.norm(dim=-1, keepdim=True)
    )
    assert torch.allclose(found, along @ basis.T)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: combine(x[:1], [1.0]), "points: expected at least 2 along dimension 0, got 1"),
        (lambda x: combine(x, [0.0, 0.0, 0.0]), "weights: expected at least one that is not zero"),
        (lambda x: combine(x, [1.0, 1.0]), r"weights: expected shape \(..., 3\), one for each point, got \(2,\)"),
        (lambda x: combine(x, [1.0, float("nan"), 0.0]), "weights: expected finite numbers"),
        (lambda x: frechet_combine(Euclidean(4), x, [0.0, 0.0, 0.0]), "weights: expected nonnegative weights"),
        (lambda x: frechet_combine(Euclidean(4), x, [-1.0, 1.0, 1.0]), "weights: expected nonnegative weights"),
        (lambda x: frechet_combine(Euclidean(4), x[:1], [1.0]), "points: expected at least 2"),
        (lambda x: grid(x[:2], 3, 3), "points: expected 3 or 4 along dimension 0"),
        (lambda x: grid(x, 1, 3), "rows: expected an integer >= 2"),
        (lambda x: grid(x, 3, 3, space=Euclidean(4)), "points: expected 4 along dimension 0"),
        (lambda x: subspace(torch.stack([x[0], 2 * x[0]]), [1.0, 0.0]), "points: expected 2 linearly independent"),
        (lambda x: subspace(x, [1.0, 0, 0], base=SphericalUniform(3)), "base: expected a Gaussian"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.randn(3, 4))


def test_points_off_the_space_are_named():
    with pytest.raises(OffManifoldError, match="points: expected points on Hypersphere"):
        frechet_combine(Hypersphere(3), torch.ones(3, 4), [1.0, 1.0, 1.0])


def test_a_sequence_of_bases_is_combined_part_by_part():
    bases = [Gaussian(torch.zeros(2)), SphericalUniform(2), Dirichlet(torch.ones(3))]
    x = torch.cat([b.sample((5, 3)) for b in bases], -1)
    w = torch.tensor([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    found = combine(x, w, base=bases)
    assert found.shape == (5, 2, 8)
    assert torch.equal(found[:, 1], x[:, 0])
    assert torch.allclose(found[..., :2], combine(x[..., :2], w), atol=1e-6)
    assert torch.allclose(found[..., 2:5].norm(dim=-1), torch.ones(5, 2), atol=1e-5)
    assert torch.allclose(found[..., 5:].sum(-1), torch.ones(5, 2), atol=1e-5)
    assert grid(x[0].repeat(2, 1)[:4], 2, 3, base=bases).shape == (2, 3, 8)


@pytest.mark.parametrize("n", [2, 5])
def test_a_batch_of_bases_gives_each_pair_its_own(n):
    loc = torch.nn.functional.normalize(torch.randn(3, n, dtype=torch.float64), dim=-1)
    kappa = torch.tensor([0.5, 3.0, 40.0], dtype=torch.float64)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    for base, one in (
        (VonMisesFisher(loc, kappa), lambda i: VonMisesFisher(loc[i], kappa[i])),
        (Gaussian(3 * loc, kappa[:, None]), lambda i: Gaussian(3 * loc[i], kappa[i])),
    ):
        start, end = base.sample(), base.sample()
        together = Matched(base, start, end)(t)
        mixed = combine(
            torch.stack([start, end], -2), [0.3, 0.7], base=base, generator=torch.Generator().manual_seed(0)
        )
        assert mixed.shape == (3, n)
        for i in range(3):
            assert torch.allclose(together[i], Matched(one(i), start[i], end[i])(t), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: combine(x, [1.0, 1.0], base=Gaussian(torch.zeros(7))), "points: expected points of the base's"),
        (lambda x: combine(x, [1.0, 1.0], base=[Gaussian(torch.zeros(7))]), "base: expected bases with 1"),
        (lambda x: combine(x, [1.0, 1.0], base=[]), "base: expected bases with"),
        (lambda x: Matched([], *x), "base: expected bases with"),
        (lambda x: Matched(Gaussian(torch.zeros(7)), *x), "start: expected points of the base's event shape"),
        (lambda x: OptimalTransport(Gaussian(torch.zeros(7)), *x), "start: expected points of the base's event shape"),
        (lambda x: CauchyLinear(Gaussian(torch.zeros(7)), *x), "start: expected points of the base's event shape"),
        (lambda x: subspace(x, [1.0, 2.0]), "points: expected 2 linearly independent latents"),
        (lambda x: subspace(torch.eye(2), [1.0, 2.0, 3.0]), r"coordinates: expected shape \(..., 2\)"),
    ],
)
def test_points_that_do_not_fit_the_base_are_named_not_broadcast(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.randn(2, 1))
