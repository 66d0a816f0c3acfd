"""What geomstats asks of a space beside its metric, and how spaces, metrics and fits show themselves."""

import math

import pytest
import torch

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, TangentPCA, Torus, broadcasting
from manifoldflow.manifolds.space import tolerance

from ..strategies import MANIFOLDS

F64 = torch.float64


def test_the_sums_that_define_the_simplex():
    space = Simplex(2)
    points = torch.tensor([[0.2, 0.3, 0.5], [1.0, 1.0, 0.5]])
    torch.testing.assert_close(space.submersion(points), torch.tensor([0.0, 1.5]))
    torch.testing.assert_close(space.tangent_submersion(points, points), torch.tensor([1.0, 2.5]))


def test_regular_coordinates():
    turned = torch.tensor([[0.5, 4.0]]) + 2 * math.pi
    torch.testing.assert_close(Torus(2).regularize(turned), torch.tensor([[0.5, 4.0 - 2 * math.pi]]))
    x = torch.eye(3)
    for space in (Hypersphere(2), Euclidean(3), Simplex(2)):
        assert space.regularize(x) is x
    vector = torch.randn(4, 2)
    assert Torus(2).to_tangent(vector) is vector
    assert Torus(2).to_tangent(vector[0], torch.zeros(4, 2)).shape == (4, 2)


def test_uniform_is_what_random_points_of_the_sphere_are():
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    options = {"dtype": F64, "generator": one}
    drawn = Hypersphere(2).random_uniform(5, **options)
    assert torch.equal(drawn, Hypersphere(2).random_point(5, dtype=F64, generator=other))


def test_how_they_show_themselves():
    assert repr(Hypersphere(2).metric) == "SphereMetric(Hypersphere(2))"
    assert repr(TangentPCA(Hypersphere(2), 1)) == "TangentPCA(Hypersphere(2), n_components=1)"
    assert torch.equal(Euclidean(3).metric.metric_matrix(), torch.eye(3))
    assert torch.equal(Hypersphere(2).metric.metric_matrix(torch.eye(3)), torch.eye(3).expand(3, 3, 3))
    assert Torus(2).metric.metric_matrix().shape == (2, 2)


def test_arguments_of_random_points_are_refused_by_name():
    space = Hypersphere(2)
    for wrong in ("float32", torch.int64):
        with pytest.raises(TypeError, match=r"dtype: expected a floating-point torch\.dtype"):
            space.random_point(2, dtype=wrong)
    with pytest.raises(ValueError, match="device, generator: expected an available device"):
        space.random_point(2, device="nowhere")
    with pytest.raises(ValueError, match="n_samples: expected an integer >= 0"):
        space.random_point(-1)
    with pytest.raises(ValueError, match="n_samples: expected 1 or a number that fits"):
        space.random_tangent_vec(torch.eye(3), 2)
    assert space.random_tangent_vec(torch.eye(3), 3).shape == (3, 3)


def test_curvature_of_a_foreign_space_takes_any_batch(monkeypatch):
    """A metric that takes one batch dimension and knows its curvature: R(a, b) c = <b, c> a - <a, c> b."""

    def curvature(self, a, b, c, x):
        assert a.shape == b.shape == c.shape == x.shape == (6, 3)
        return (b * c).sum(-1, keepdim=True) * a - (a * c).sum(-1, keepdim=True) * b

    space = GeomstatsHypersphere(2)
    monkeypatch.setattr(type(space.metric), "curvature", curvature)
    a, b, c = torch.randn(3, 2, 3, 3)
    found = broadcasting(space.metric).curvature(a, b, c, torch.eye(3))
    torch.testing.assert_close(found, Hypersphere(2).metric.curvature(a, b, c, torch.eye(3)))


def test_volumes_that_overflow_are_infinite():
    assert Torus(1).volume == pytest.approx(2 * math.pi)
    assert Euclidean(2).volume == math.inf
    assert Torus(385).volume == pytest.approx(math.exp(385 * math.log(2 * math.pi)))  # 707.6 in its log
    assert Torus(386).volume == math.inf


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_a_row_of_nan_is_projected_to_nan_alone(space):
    points = space.random_point(4, dtype=F64)
    wrong = points.clone()
    wrong[2] = torch.nan
    found = space.projection(wrong)
    assert found[2].isnan().any()
    torch.testing.assert_close(found[[0, 1, 3]], space.projection(points)[[0, 1, 3]])
    batch = space.projection(points.reshape(2, 2, -1))
    torch.testing.assert_close(batch.reshape(4, -1), space.projection(points))


@pytest.mark.parametrize("line", [[1.0, 0.0, 0.0], [1.0, 2.0, -1.0], [0.3, 0.1, 0.7]])
def test_components_without_variance_are_finite(line):
    points = torch.arange(6.0, dtype=F64)[:, None] * torch.tensor(line, dtype=F64)
    pca = TangentPCA(Euclidean(3)).fit(points)
    assert pca.components_.isfinite().all()
    length = torch.tensor(line, dtype=F64).norm()
    torch.testing.assert_close(pca.explained_variance_, torch.tensor([3.5 * length**2, 0, 0], dtype=F64))
    torch.testing.assert_close(pca.components_[0].abs(), torch.tensor(line, dtype=F64).abs() / length)
    torch.testing.assert_close(pca.inverse_transform(pca.transform(points)), points, atol=1e-7, rtol=0)


def test_copies_of_a_point_have_no_components():
    pca = TangentPCA(Euclidean(3)).fit(torch.ones(4, 3, dtype=F64))
    assert pca.explained_variance_.eq(0).all()
    assert pca.components_.eq(0).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda p, v: Simplex(3).submersion(p),
        lambda p, v: Simplex(3).tangent_submersion(v, p),
        lambda p, v: Simplex(3).off_tangent(v, p),
        lambda p, v: Simplex(3, metric="aitchison").off_tangent(v, p),
        lambda p, v: Simplex(3, metric="aitchison").metric.metric_matrix(p),
        lambda p, v: Torus(4).off_tangent(v.log(), p),
    ],
)
def test_a_table_of_points_is_its_points_one_by_one(function):
    torch.manual_seed(0)
    points, vectors = torch.rand(2, 3, 4, dtype=F64), torch.randn(2, 3, 4, dtype=F64)
    points[1, 0, 2] = points[0, 1, 0] = 0.0
    one_by_one = torch.stack([torch.stack([function(p, v) for p, v in zip(*row)]) for row in zip(points, vectors)])
    torch.testing.assert_close(function(points, vectors), one_by_one, equal_nan=True)


@pytest.mark.parametrize(("dtype", "stated"), [(F64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_how_far_off_a_point_may_be(dtype, stated):
    space = Simplex(1)
    far = torch.tensor([0.9, 1.1], dtype=F64) * stated
    off = torch.stack([-far, 1 + far], -1)  # the sum is 1: the negative coordinate counts, which has its own digits
    if dtype is not torch.bfloat16:
        assert space.belongs(off.to(dtype)).tolist() == [True, False]
    assert tolerance(dtype) == stated
