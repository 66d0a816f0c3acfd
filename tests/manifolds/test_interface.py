"""Corners of the spaces' interface: omitted base points, wrong dimensions, factors that do not fit."""

import pytest
import torch

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, broadcasting


def test_euclidean_vectors_need_no_base_point():
    space, vector = Euclidean(3), torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(space.to_tangent(vector), vector)
    assert space.to_tangent(vector, torch.zeros(4, 3)).shape == (4, 3)
    drawn = space.random_tangent_vec(n_samples=5, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 3)
    assert torch.equal(drawn, space.random_point(5, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("space", [Euclidean(3), Hypersphere(2), Product([Euclidean(1), Hypersphere(1)])])
def test_points_and_vectors_of_another_dimension_do_not_belong(space):
    wrong = torch.zeros(4, 7)
    assert space.belongs(wrong).tolist() == [False] * 4
    base = space.random_point(4)
    assert space.is_tangent(wrong, base).tolist() == [False] * 4


def test_products_refuse_no_factors_and_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="factors: expected at least one space, got none"):
        Product([])
    for weights in ([1.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(ValueError, match="weights: expected 2 positive numbers"):
            Product([Euclidean(1), Hypersphere(1)], weights=weights)


def test_foreign_transport_to_an_end_point_is_that_along_the_logarithm():
    metric = broadcasting(GeomstatsHypersphere(2).metric)
    start, end = Hypersphere(2).random_point(2, dtype=torch.float64)
    vector = Hypersphere(2).to_tangent(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), start)
    along = metric.parallel_transport(vector, start, direction=metric.log(end, start))
    torch.testing.assert_close(metric.parallel_transport(vector, start, end_point=end), along)
    torch.testing.assert_close(along.norm(), vector.norm())
    assert float(metric.injectivity_radius()) == pytest.approx(torch.pi)
