"""The torus: angles that wrap around."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import manifoldflow as mf
from manifoldflow.manifolds import Torus, check_points, frechet_mean
from manifoldflow.manifolds.torus import wrap

DTYPES = [torch.float32, torch.float64]


@given(angle=st.floats(-1e3, 1e3))
def test_wrapping_keeps_the_angle_and_the_digits(angle):
    wrapped = float(wrap(torch.tensor(angle, dtype=torch.float64)))
    assert abs(wrapped) <= math.pi + 1e-12
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-12)
    assert math.sin(wrapped) == pytest.approx(math.sin(angle), abs=1e-12)
    if abs(angle) <= math.pi:
        assert wrapped == angle


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_short_way_round(dtype):
    torus = Torus(2)
    start, end = torch.tensor([[2.5, -2.0], [-2.6, 2.4]], dtype=dtype)
    across = torch.tensor([2 * math.pi - 5.1, 4.4 - 2 * math.pi], dtype=dtype)
    assert torch.allclose(torus.metric.log(end, start), across)
    assert float(torus.metric.dist(start, end)) == pytest.approx(float(across.norm()), rel=1e-5)
    path = torus.metric.geodesic(start, end)(torch.linspace(0, 1, 5))
    assert torus.belongs(path).all()
    assert torch.allclose(frechet_mean(torus, path), path[2], atol=1e-5)


def test_both_ends_are_one_angle_and_other_turns_are_refused_with_the_remedy():
    torus = Torus(1)
    ends = torch.tensor([[-math.pi], [math.pi]])
    check_points(torus, ends=ends)
    assert float(torus.metric.dist(*ends)) < 1e-6
    with pytest.raises(mf.errors.OffManifoldError, match=r"angles in \[-pi, pi\].*projection"):
        check_points(torus, degrees=torch.tensor([[90.0]]))
    assert torus.belongs(torus.projection(torch.tensor([[90.0]]))).all()
    with pytest.raises(ValueError, match="dim"):
        Torus(0)


def test_half_a_turn_has_two_shortest_ways():
    torus = Torus(2)
    a, b = torch.tensor([0.0, 0.3]), torch.tensor([math.pi, 0.2])
    torus.metric.log(b - torch.tensor([0.1, 0.0]), a)
    with pytest.raises(mf.errors.CutLocusError, match="half a turn"):
        torus.metric.log(b, a)
    assert torus.metric.log(b, a, cut_locus="choose").isfinite().all()
    with pytest.raises(mf.errors.CutLocusError, match="half a turn"):
        torus.metric.parallel_transport(a, a, end_point=b)


def test_uniform_points_and_volume():
    torch.manual_seed(0)
    x = Torus(3).random_point(2000, dtype=torch.float64)
    assert Torus(3).volume == pytest.approx((2 * math.pi) ** 3)
    assert (x.cos().mean(0).abs() < 4 * math.sqrt(0.5 / 2000)).all()
    assert Torus(3).random_point().shape == (3,)
