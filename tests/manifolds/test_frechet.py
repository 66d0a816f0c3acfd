"""Frechet means and tangent PCA against geomstats, closed forms and first-order optimality."""

import pytest
import torch

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.errors import CutLocusError
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, TangentPCA, frechet_mean

from ..strategies import DTYPES, MANIFOLDS, random_points, tolerance


def clouds(space, sets, k, dtype):
    """Sets of points within an injectivity radius of a centre."""
    rng = torch.Generator().manual_seed(0)
    centre = random_points(space, sets, dtype=dtype, generator=rng).unsqueeze(1)
    other = random_points(space, sets * k, dtype=dtype, generator=rng).reshape(sets, k, *space.shape)
    return space.metric.geodesic(centre.expand_as(other), other)(0.4).squeeze(2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_mean_log_vanishes(space, dtype):
    points = clouds(space, 7, 5, dtype)
    weights = torch.tensor([0.5, 1.0, 0.0, 2.0, 1.5], dtype=dtype)
    mean = frechet_mean(space, points, weights)
    assert mean.dtype == dtype
    assert space.belongs(mean).all()
    logs = space.metric.log(points, mean.unsqueeze(1))
    gradient = (weights[:, None] * logs).sum(1) / weights.sum()
    assert (space.metric.norm(gradient, mean) <= tolerance(dtype, 256)).all()
    # each set alone gives the same, and so do weights to another scale
    torch.testing.assert_close(
        frechet_mean(space, points[3], 10 * weights), mean[3], atol=tolerance(dtype, 256), rtol=0
    )


def test_closed_forms():
    x, y = Hypersphere(3).random_point(2, dtype=torch.float64)
    pair = torch.stack([x, y])
    half = Hypersphere(3).metric.geodesic(x, y)(0.25)[0]
    weights = torch.tensor([3.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(frechet_mean(Hypersphere(3), pair, weights), half, atol=1e-13, rtol=0)
    points = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(frechet_mean(Euclidean(3), points), points.mean(0))
    p = Simplex(2, metric="aitchison").random_point(5, dtype=torch.float64)
    torch.testing.assert_close(frechet_mean(Simplex(2, metric="aitchison"), p), p.log().mean(0).softmax(-1))


def test_boundary_points_of_the_simplex_have_a_mean():
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(frechet_mean(Simplex(2), eye), torch.full((3,), 1 / 3, dtype=torch.float64))


def test_bad_weights_and_sets_are_refused():
    x = Hypersphere(2).random_point(3)
    with pytest.raises(ValueError, match="points: expected at least one"):
        frechet_mean(Hypersphere(2), x[:0])
    for weights in (torch.tensor([1.0, -1.0, 1.0]), torch.zeros(3), torch.tensor([1.0, float("nan"), 1.0])):
        with pytest.raises(ValueError, match="weights: expected nonnegative weights with a positive sum"):
            frechet_mean(Hypersphere(2), x, weights)


def scattered(sets, k):
    """Points all around the circle, which have several local minima."""
    return Hypersphere(1).random_point(sets * k, dtype=torch.float64).reshape(sets, k, 2)


def least_variance_on_the_circle(points):
    """By the closed form: the minimisers are among the k angles mean + 2 pi j / k (Hotz and Huckemann 2015)."""
    angles = torch.atan2(points[..., 1], points[..., 0])
    k = angles.shape[-1]
    means = angles.mean(-1, keepdim=True) + 2 * torch.pi * torch.arange(k, dtype=points.dtype) / k
    gaps = (angles.unsqueeze(-2) - means.unsqueeze(-1) + torch.pi).remainder(2 * torch.pi) - torch.pi
    return gaps.square().mean(-1).amin(-1)


def test_several_starts_find_the_least_variance_of_scattered_points():
    torch.manual_seed(0)
    points = scattered(200, 5)
    least = least_variance_on_the_circle(points)
    one = frechet_mean(Hypersphere(1), points, full_output=True)
    several = frechet_mean(Hypersphere(1), points, starts=6, full_output=True)
    missed = (one.variance > least + 1e-9).sum()
    assert missed > 10
    assert (several.variance > least + 1e-9).sum() < missed / 3
    assert (several.variance <= one.variance + 1e-12).all()
    assert (several.variance >= least - 1e-12).all()


def test_status_and_warning_where_the_steps_do_not_suffice():
    torch.manual_seed(0)
    points = clouds(Hypersphere(3), 4, 5, torch.float64)
    full = frechet_mean(Hypersphere(3), points, full_output=True)
    assert full.converged.all()
    assert full.steps < 50
    squares = Hypersphere(3).metric.squared_dist(points, full.mean.unsqueeze(1))
    torch.testing.assert_close(full.variance, squares.mean(-1))
    torch.testing.assert_close(full.mean, frechet_mean(Hypersphere(3), points))
    assert not frechet_mean(Hypersphere(3), points, max_steps=1, full_output=True).converged.any()
    with pytest.warns(UserWarning, match="4 of 4 sets did not converge in 1 steps; allow more with max_steps"):
        frechet_mean(Hypersphere(3), points, max_steps=1)


def test_an_antipodal_point_is_refused_with_advice_that_works():
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    with pytest.raises(CutLocusError, match=r"points: .*antipodal.*starts=2"):
        frechet_mean(Hypersphere(1), points)
    full = frechet_mean(Hypersphere(1), points, starts=3, full_output=True)
    torch.testing.assert_close(full.variance, least_variance_on_the_circle(points))


def test_tangent_pca_finds_the_directions_of_a_great_circle_band():
    space = Hypersphere(9)
    x = torch.eye(10, dtype=torch.float64)[0]
    rng = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.0, 0.5, 0.2] + [0.01] * 7, dtype=torch.float64)
    u = scales * torch.randn(400, 10, dtype=torch.float64, generator=rng)
    points = space.metric.exp(u, x)
    pca = TangentPCA(space, 2).fit(points, base_point=x)
    covariance = torch.cov(u.T)
    values = torch.linalg.eigvalsh(covariance).flip(0)[:2]
    torch.testing.assert_close(pca.explained_variance_, values)
    assert pca.components_.shape == (2, 10)
    coordinates = pca.transform(points)
    torch.testing.assert_close(coordinates.var(0), pca.explained_variance_)
    assert (pca.inverse_transform(coordinates) - points).norm(dim=-1).max() < 0.06


@pytest.mark.parametrize("space", [Simplex(3), Simplex(3, metric="aitchison"), Hypersphere(3)], ids=repr)
def test_tangent_pca_is_orthonormal_in_the_metric(space):
    points = clouds(space, 1, 20, torch.float64)[0]
    pca = TangentPCA(space)
    coordinates = pca.fit_transform(points)
    gram = space.metric.inner_product(pca.components_[:, None], pca.components_[None], pca.base_point_)
    torch.testing.assert_close(gram, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(pca.inverse_transform(coordinates), points)


def test_tangent_pca_refuses_too_little():
    x = Hypersphere(2).random_point(5)
    with pytest.raises(ValueError, match="X: expected at least two points, got 1"):
        TangentPCA(Hypersphere(2)).fit(x[:1])
    with pytest.raises(ValueError, match="n_components: expected 1 to 2 for 5 points"):
        TangentPCA(Hypersphere(2), 3).fit(x)


def test_tangent_pca_of_a_geomstats_space():
    points = clouds(Hypersphere(3), 1, 20, torch.float64)[0]
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        theirs = TangentPCA(GeomstatsHypersphere(3)).fit(points)
    finally:
        torch.set_default_dtype(default)
    ours = TangentPCA(Hypersphere(3)).fit(points)
    torch.testing.assert_close(theirs.explained_variance_, ours.explained_variance_, atol=1e-6, rtol=0)
