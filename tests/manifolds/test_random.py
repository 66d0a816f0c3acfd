"""Random points follow the Riemannian volume, and volumes are what they should be."""

import math

import pytest
import torch
from scipy import integrate, special, stats

from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex

from ..strategies import DTYPES, MANIFOLDS, stereographic

N = 20_000


def draw(space, n=N, seed=0):
    return space.random_point(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("dim", [1, 2, 5, 50])
def test_sphere_is_uniform(dim):
    x = draw(Hypersphere(dim))
    # each coordinate of a uniform point: (1 + x) / 2 is Beta(d/2, d/2)
    for k in (0, dim):
        assert stats.kstest((1 + x[:, k]) / 2, stats.beta(dim / 2, dim / 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("name", "a"), [("fisher_rao", 0.5), ("euclidean", 1.0)])
@pytest.mark.parametrize("dim", [1, 4])
def test_simplex_is_uniform_in_its_volume(name, a, dim):
    p = draw(Simplex(dim, metric=name))
    for k in (0, dim):
        assert stats.kstest(p[:, k], stats.beta(a, a * dim).cdf).pvalue > 1e-3


def test_aitchison_is_standard_normal_in_isometric_log_ratios():
    metric = Simplex(4, metric="aitchison")
    p = torch.as_tensor(draw(metric))
    squared = metric.metric.squared_dist(p, torch.full((5,), 0.2, dtype=torch.float64))
    assert stats.kstest(squared.numpy(), stats.chi2(4).cdf).pvalue > 1e-3


@pytest.mark.parametrize("space", [Euclidean(3), stereographic(3)], ids=repr)
def test_flat_coordinates_are_standard_normal(space):
    assert stats.kstest((draw(space) ** 2).sum(-1), stats.chi2(3).cdf).pvalue > 1e-3


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_dtype_and_generator(space, dtype):
    a, b = (space.random_point(3, dtype=dtype, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.dtype == dtype
    assert a.shape == (3, *space.shape)
    assert space.random_point().shape == space.shape
    assert space.random_point(0).shape == (0, *space.shape)
    assert space.random_point().dtype == torch.get_default_dtype()
    u = space.random_tangent_vec(a, generator=torch.Generator().manual_seed(1))
    assert u.dtype == dtype
    assert space.is_tangent(u, a).all()
    assert space.random_tangent_vec(a[0], 6).shape == (6, *space.shape)


@pytest.mark.parametrize("dim", [1, 2, 3, 10, 700, 100_000])
def test_area_of_the_sphere(dim):
    n = dim + 1
    expected = math.log(2) + n / 2 * math.log(math.pi) - special.gammaln(n / 2)
    assert math.isclose(Hypersphere(dim).log_volume, expected, rel_tol=1e-13)
    assert math.isclose(Hypersphere(2).volume, 4 * math.pi)


@pytest.mark.parametrize("name", ["fisher_rao", "euclidean"])
def test_volume_of_the_simplex_is_the_integral_of_its_volume_form(name):
    space = Simplex(2, metric=name)

    def form(b, a):
        p = torch.tensor([a, b, 1 - a - b], dtype=torch.float64)
        return float(space.metric.log_volume_form(p).exp())

    integral, _ = integrate.dblquad(form, 0, 1, 0, lambda a: 1 - a, epsabs=1e-4)
    assert math.isclose(integral, space.volume, rel_tol=1e-3)
    assert Simplex(3, metric="aitchison").volume == math.inf


@pytest.mark.parametrize("space", [*(s for s in MANIFOLDS if isinstance(s, Simplex)), stereographic(2)], ids=repr)
def test_volume_form_is_the_gram_determinant_in_coordinates(space):
    """Root of the determinant of inner products of coordinate vectors: on a simplex, e_i - e_n."""
    p = space.random_point(6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).unflatten(0, (2, 3))
    basis = torch.eye(space.dim, dtype=torch.float64)
    if isinstance(space, Simplex):
        basis = torch.cat([basis, -torch.ones(space.dim, 1, dtype=torch.float64)], -1)
    gram = space.metric.inner_product(basis[:, None], basis[None], p[..., None, None, :])
    expected = 0.5 * torch.linalg.slogdet(gram).logabsdet.expand(2, 3)
    torch.testing.assert_close(space.metric.log_volume_form(p), expected)
    torch.testing.assert_close(space.metric.log_volume_form(p[1, 2]), expected[1, 2])


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_metric_matrix_is_the_inner_product(space):
    p = space.random_point(3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    u, w = (space.random_tangent_vec(p) for _ in range(2))
    matrix = space.metric.metric_matrix(p)
    value = torch.einsum("...i,...ij,...j->...", u, matrix, w)
    torch.testing.assert_close(value.expand(3), space.metric.inner_product(u, w, p))


def test_volume_of_a_product():
    space = Product([Hypersphere(2), Simplex(1, metric="euclidean")], weights=[4.0, 9.0])
    # lengths scale by the root of the weight: areas by 4, lengths by 3
    assert math.isclose(space.volume, 4 * 4 * math.pi * 3 * math.sqrt(2))
    point = space.random_point(5, dtype=torch.float64)
    expected = math.log(4) + math.log(3) + 0.5 * math.log(2)
    torch.testing.assert_close(space.metric.log_volume_form(point), torch.full((5,), expected, dtype=torch.float64))
    assert Product([Hypersphere(2), Euclidean(1)]).volume == math.inf
