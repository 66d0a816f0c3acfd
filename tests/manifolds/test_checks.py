"""Bad input: named errors with the argument, what was expected, what came, the row and the fix."""

import pytest
import torch
from packaging.version import Version

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.errors import OffManifoldError
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, check_points, check_tangent, tolerance

from ..strategies import DTYPES, MANIFOLDS


def test_the_example_of_the_style_guide():
    start = torch.tensor([[2.0, 0.0, 0.0]])
    with pytest.raises(OffManifoldError) as caught:
        check_points(Hypersphere(2), start=start)
    assert str(caught.value) == (
        "start: expected points on Hypersphere(2) (unit norm, atol=1e-05), got norm 2.0000 at row 0; "
        "normalise it first: call Hypersphere(2).projection(start)"
    )


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_nan_is_named_with_its_row(space):
    x = space.random_point(7)
    x[4, -1] = float("nan")
    with pytest.raises(OffManifoldError, match=r"y: expected points on .* got NaN at row 4"):
        check_points(space, x=space.random_point(7), y=x)
    with pytest.raises(OffManifoldError, match=r"u: expected tangent vectors .* at row 4"):
        check_tangent(space, space.random_point(7), u=x * 0)


def test_rows_of_a_batch_are_named_by_their_indices():
    x = Hypersphere(2).random_point(6).reshape(2, 3, 3)
    x[1, 2] *= 1.1
    with pytest.raises(OffManifoldError, match=r"norm 1\.1000 at row \(1, 2\)"):
        check_points(Hypersphere(2), x=x)
    with pytest.raises(OffManifoldError, match=r"at rows \(0, 0\), \(0, 1\), .* \(and 1 more\)"):
        check_points(Hypersphere(2), x=2 * x)


@pytest.mark.parametrize(
    ("space", "point", "finding"),
    [
        (Simplex(2), [0.5, 0.6, -0.1], "sum 1.0000 and least coordinate -0.1"),
        (Simplex(2), [0.5, 0.3, 0.3], "sum 1.1000"),
        (Simplex(2, metric="aitchison"), [0.5, 0.5, 0.0], "least coordinate 0"),
        (Euclidean(2), [0.0, float("inf")], "a coordinate inf"),
        (Product([Hypersphere(1), Simplex(1)]), [1.0, 0.0, 0.5, 0.6], "sum 1.1000 .* in factor 1"),
    ],
)
def test_what_came_is_said(space, point, finding):
    with pytest.raises(OffManifoldError, match=finding):
        check_points(space, s=torch.tensor(point))


def test_shapes_dtypes_and_devices():
    space, x = Hypersphere(2), Hypersphere(2).random_point(4)
    with pytest.raises(OffManifoldError, match=r"y: expected shape \(\*batch, 3\) for points .*got shape \(4, 2\)"):
        check_points(space, x=x, y=x[:, :2])
    with pytest.raises(OffManifoldError, match=r"y: expected dtype torch.float32 as of x, got torch.float64"):
        check_points(space, x=x, y=x.double())
    with pytest.raises(OffManifoldError, match="y: expected device cpu as of x, got meta"):
        check_points(space, x=x, y=x.to("meta"))
    with pytest.raises(
        TypeError, match=r"x: expected a floating-point tensor, got a tensor of shape .* and dtype int64; convert"
    ):
        check_points(space, x=torch.tensor([1, 0, 0]))
    with pytest.raises(TypeError, match="x: expected a floating-point tensor, got a list; convert it"):
        check_points(space, x=[1.0, 0.0, 0.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_tolerance_follows_the_dtype(dtype):
    x = Hypersphere(2).random_point(3, dtype=torch.float64)
    for factor, good in ((0.5, True), (2.0, False)):
        y = ((1 + factor * tolerance(dtype)) * x).to(dtype)
        assert Hypersphere(2).belongs(y).all() == good
    assert Hypersphere(2).belongs(2 * x.to(dtype), atol=1.5).all()


def test_tangent_vectors():
    x = Hypersphere(2).random_point(3)
    with pytest.raises(OffManifoldError, match=r"u: .*orthogonal to the base point.*rows 0, 1, 2; .*to_tangent\(u"):
        check_tangent(Hypersphere(2), x, u=x)
    p = Simplex(2).random_point(3)
    with pytest.raises(OffManifoldError, match="coordinates with sum 0"):
        check_tangent(Simplex(2), p, u=p)
    check_tangent(Simplex(2), p, u=Simplex(2).to_tangent(torch.randn(3, 3), p))


def test_tangent_without_a_base_point():
    u = torch.tensor([[0.5, -0.5], [0.5, 0.5]])
    assert Simplex(1).is_tangent(u).tolist() == [True, False]
    assert Euclidean(2).is_tangent(u).all()
    with pytest.raises(ValueError, match=r"base_point: expected points, .* of Hypersphere\(1\) depend, got None"):
        Hypersphere(1).is_tangent(u)


def test_foreign_spaces_are_checked_by_their_own_belongs():
    space = GeomstatsHypersphere(2)
    x = Hypersphere(2).random_point(4).reshape(2, 2, 3)
    check_points(space, x=x)
    with pytest.raises(OffManifoldError, match=r"x: expected points on Hypersphere .* rows \(0, 0\)"):
        check_points(space, x=2 * x)
    with pytest.raises(OffManifoldError, match="u: expected tangent vectors"):
        check_tangent(space, x, u=x)


def test_values_are_not_looked_at_under_transforms():
    x = 2 * Hypersphere(2).random_point(4)

    def function(x):
        check_points(Hypersphere(2), x=x)
        return x.sum()

    torch.vmap(function)(x)
    if Version(torch.__version__) >= Version("2.7"):  # torch 2.6 does not compile geomstats' constructors
        torch._dynamo.reset()
        torch.compile(function, fullgraph=True, backend="aot_eager")(x)
    with pytest.raises(OffManifoldError, match="got shape"):
        torch.vmap(function)(x[:, :2])
