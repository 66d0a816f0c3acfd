"""Every function that takes a space takes geomstats' own: SPD matrices, hyperbolic space, rotations."""

import geomstats.backend as gs
import pytest
import torch
from geomstats.geometry.hyperboloid import Hyperboloid
from geomstats.geometry.spd_matrices import SPDMatrices
from geomstats.geometry.special_orthogonal import SpecialOrthogonal

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.manifolds import (
    BroadcastingMetric,
    Hypersphere,
    Product,
    Pullback,
    TangentPCA,
    broadcasting,
    check_points,
    check_tangent,
    frechet_mean,
)


@pytest.fixture(autouse=True)
def _double():
    """geomstats creates its constants in the default dtype, and expects double."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    gs.random.seed(0)
    yield
    torch.set_default_dtype(default)


# geomstats' rotations go through numpy in a way that numpy is retiring
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACES = [SPDMatrices(3), Hyperboloid(3), SpecialOrthogonal(3), GeomstatsHypersphere(3)]
NAMES = [type(s).__name__ for s in SPACES]


def near(space, n):
    """Random points near a random point, so that logs are unique."""
    centre = space.random_point()
    u = space.to_tangent(torch.randn(n, *space.shape), centre.expand(n, *space.shape))
    return broadcasting(space.metric).exp(0.2 * u, centre)


@pytest.mark.parametrize("space", SPACES, ids=NAMES)
def test_leading_dimensions_broadcast(space):
    metric = broadcasting(space.metric)
    assert isinstance(metric, BroadcastingMetric)
    assert broadcasting(metric) is metric
    p = near(space, 6)
    x, y = p[:3].reshape(3, 1, *space.shape), p[3:5]
    check_points(space, x=x, y=y)
    u = metric.log(y, x)
    assert u.shape == (3, 2, *space.shape)
    torch.testing.assert_close(metric.exp(u, x), y.expand_as(u), atol=1e-6, rtol=0)
    torch.testing.assert_close(metric.dist(x, y), metric.norm(u, x), atol=1e-6, rtol=0)
    torch.testing.assert_close(metric.squared_dist(x, y), metric.squared_norm(u, x), atol=1e-6, rtol=0)
    torch.testing.assert_close(u[1, 1], space.metric.log(y[1], x[1, 0]), atol=1e-9, rtol=0)
    path = metric.geodesic(x, y)([0.0, 0.5, 1.0])
    assert path.shape == (3, 2, 3, *space.shape)
    torch.testing.assert_close(path.select(2, 2), y.expand_as(u), atol=1e-6, rtol=0)
    again = metric.geodesic(x, initial_tangent_vec=u)(0.5)
    torch.testing.assert_close(again.squeeze(2), path.select(2, 1))
    moved = metric.parallel_transport(u, x, end_point=y)
    torch.testing.assert_close(moved, -metric.log(x, y), atol=1e-6, rtol=0)
    for empty in (metric.dist(x[:0], y[:1]), metric.log(x[:0], y[:1])):
        assert empty.shape[0] == 0
    assert "broadcasting(" in repr(metric)
    # what a product asks of a space itself
    product = Product([space, Hypersphere(2)])
    z = product.join([x, Hypersphere(2).random_point(2)])
    w = torch.randn(product.shape)
    tangent = product.to_tangent(w, z)
    assert product.projection(z).shape == tangent.shape == (3, 2, *product.shape)
    assert product.is_tangent(tangent, z).all()
    assert product.is_tangent(w, z).shape == (3, 2)
    check_points(product, empty=z[:0])
    check_points(space, empty=x[:0])
    check_tangent(product, z[:0], empty=tangent[:0])


def test_one_pair_without_batch():
    space = Hyperboloid(2)
    metric = broadcasting(space.metric)
    x, y = near(space, 2)
    assert metric.dist(x, y).shape == ()
    assert metric.geodesic(x, y)(0.3).shape == (1, 3)
    with pytest.raises(ValueError, match="exactly one of"):
        metric.geodesic(x)


def test_ours_pass_through():
    assert broadcasting(Hypersphere(2).metric) is not None
    space = Hypersphere(2)
    assert broadcasting(space.metric) is space.metric


@pytest.mark.parametrize("space", SPACES, ids=NAMES)
def test_frechet_means_of_a_batch_of_sets(space):
    p = torch.stack([near(space, 5), near(space, 5)])
    w = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0])
    mean = frechet_mean(space, p, w)
    assert mean.shape == (2, *space.shape)
    metric = broadcasting(space.metric)
    logs = metric.log(p, mean.unsqueeze(1))
    gradient = torch.einsum("k,bk...->b...", w, logs)
    assert gradient.abs().max() < 1e-7


@pytest.mark.parametrize("space", SPACES, ids=NAMES)
def test_tangent_pca_reconstructs_with_all_components(space):
    p = near(space, 12)
    pca = TangentPCA(space).fit(p)
    torch.testing.assert_close(pca.inverse_transform(pca.transform(p)), p, atol=1e-6, rtol=0)
    metric = broadcasting(space.metric)
    gram = metric.inner_product(pca.components_[:, None], pca.components_[None], pca.base_point_)
    torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-7, rtol=0)


def test_products_and_pullbacks_of_foreign_spaces():
    space = Product([SPDMatrices(2), Hypersphere(2)], weights=[2.0, 1.0])
    assert space.shape == (7,)
    x, y = space.random_point(3), space.random_point(3)
    check_points(space, x=x)
    u = space.metric.log(y, x)
    torch.testing.assert_close(space.metric.exp(u, x), y, atol=1e-7, rtol=0)
    torch.testing.assert_close(space.metric.norm(u, x), space.metric.dist(x, y), atol=1e-8, rtol=0)
    assert space.is_tangent(u, x).all()
    for call in (lambda: space.volume, lambda: space.metric.log_volume_form(x), lambda: space.metric.metric_matrix(x)):
        with pytest.raises(NotImplementedError, match="geomstats does not know that of SPDMatrices"):
            call()
    broken = x.clone()
    broken[1, 0] = -5.0
    assert space.belongs(broken).tolist() == [True, False, True]

    plane = Pullback(
        Hyperboloid(2),
        lambda z: torch.cat([(1 + (z * z).sum(-1, keepdim=True)).sqrt(), z], -1),
        inverse=lambda s: s[..., 1:],
    )
    a, b = torch.randn(2, 4, 2)
    u = plane.metric.log(b, a)
    torch.testing.assert_close(plane.metric.exp(u, a), b, atol=1e-6, rtol=0)
    torch.testing.assert_close(plane.metric.norm(u, a), plane.metric.dist(a, b), atol=1e-6, rtol=0)
    moved = plane.metric.parallel_transport(a, a, end_point=b)
    torch.testing.assert_close(plane.metric.norm(moved, b), plane.metric.norm(a, a), atol=1e-6, rtol=0)
    assert (plane.metric.injectivity_radius(a) == torch.inf).all()
    assert broadcasting(SPDMatrices(2).metric).injectivity_radius(space.split(x)[0][:, None]).shape == (3, 1)
