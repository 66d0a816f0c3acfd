"""Geodesics on our spaces and on foreign ones."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.errors import CutLocusError, OffManifoldError
from manifoldflow.interpolation import Geodesic, Slerp
from manifoldflow.manifolds import Hypersphere, Pullback, Simplex

from ...strategies import RIEMANNIAN, point_pairs, times, tolerance


@given(pair=point_pairs(), t=times)
def test_stays_on_the_space(pair, t):
    space, start, end = pair
    points = Geodesic(space, start, end)(t)
    assert points.dtype == start.dtype
    assert space.belongs(points, atol=tolerance(start.dtype, 256)).all()


@given(pair=point_pairs(RIEMANNIAN), t=times)
def test_is_the_metric_s_own_geodesic(pair, t):
    space, start, end = pair
    found = Geodesic(space, start, end)(t)
    wanted = space.metric.geodesic(start, end)(t)
    atol = tolerance(start.dtype, 1024) * max(1.0, wanted.abs().max().item())
    assert torch.allclose(found, wanted, atol=atol, rtol=1e-3)


@given(pair=point_pairs(dtypes=[torch.float64]))
def test_speed_is_constant_and_length_is_distance(pair):
    space, start, end = pair
    path = Geodesic(space, start, end)
    inner = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)  # Fisher-Rao norms divide by coordinates, which may vanish
    distance = space.metric.dist(start, end)
    assert torch.allclose(path.length(), distance, atol=1e-7)
    speed = path.speed(inner)
    assert torch.allclose(speed, distance[:, None].expand_as(speed), atol=1e-6, rtol=1e-4)


@given(pair=point_pairs())
def test_gradients_are_finite(pair):
    space, start, end = pair
    end = end.clone().requires_grad_()
    Geodesic(space, start, end)(torch.linspace(0, 1, 4)).sum().backward()
    assert end.grad.isfinite().all()


def test_on_the_sphere_it_is_slerp():
    space = Hypersphere(4)
    start, end = space.random_point(5), space.random_point(5)
    t = torch.linspace(0, 1, 7)
    assert torch.allclose(Geodesic(space, start, end)(t), Slerp(start, end)(t), atol=1e-6)


def test_from_vertex_to_vertex_of_the_simplex():
    """The Fisher-Rao geodesic between two vertices: cos^2 and sin^2 of the angle."""
    start, end = torch.eye(3, dtype=torch.float64)[:2]
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    found = Geodesic(Simplex(2), start, end)(t)
    angle = t * math.pi / 2
    assert torch.allclose(found, torch.stack([angle.cos() ** 2, angle.sin() ** 2, 0 * t], -1), atol=1e-15)
    assert Geodesic(Simplex(2), start, end).length().item() == pytest.approx(math.pi)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # geomstats' matrix logarithm
@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")  # in float32
@pytest.mark.filterwarnings("ignore:Casting complex values:UserWarning")
@pytest.mark.parametrize("make", ["spd", "hyperbolic", "so3"])
def test_foreign_spaces(make):
    from geomstats.geometry.hyperboloid import Hyperboloid
    from geomstats.geometry.spd_matrices import SPDMatrices
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    space = {"spd": lambda: SPDMatrices(3), "hyperbolic": lambda: Hyperboloid(2), "so3": lambda: SpecialOrthogonal(3)}[
        make
    ]()
    points = torch.as_tensor(space.random_point(4)).to(
        torch.get_default_dtype()
    )  # the one dtype that geomstats mixes with
    start, end = points[:2], points[2:]
    path = Geodesic(space, start, end)
    t = torch.linspace(0, 1, 5)
    assert path(t).shape == (2, 5, *space.shape)
    assert bool(space.belongs(path(t).reshape(-1, *space.shape), atol=1e-3).all())
    assert torch.equal(path(t)[:, -1], end)
    half = path(torch.tensor([0.5]))[:, 0]
    whole = torch.as_tensor(space.metric.dist(start, end))
    assert torch.allclose(torch.as_tensor(space.metric.dist(start, half)), whole / 2, rtol=1e-3, atol=1e-3)


def test_decoded_through_a_flow_it_is_a_geodesic_of_the_pulled_back_metric():
    """With decode = inverse of a chart of the sphere, in the data space with the metric pulled back by the chart."""

    def encode(x):
        rho = 2 / (1 + x.square().sum(-1, keepdim=True))
        return torch.cat([rho * x, 1 - rho], -1)

    def decode(s):
        return s[..., :-1] / (1 - s[..., -1:])

    data = Pullback(Hypersphere(2), encode, inverse=decode)
    x0, x1 = torch.randn(6, 2, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    through = decode(Geodesic(Hypersphere(2), encode(x0), encode(x1))(t))
    assert torch.allclose(through, Geodesic(data, x0, x1)(t), atol=1e-9)


def test_points_off_the_space_are_named():
    with pytest.raises(OffManifoldError, match="start: expected points on Hypersphere"):
        Geodesic(Hypersphere(2), 2 * torch.eye(3), torch.eye(3))


def test_antipodes():
    space = Hypersphere(2)
    start = space.random_point(3)
    end = space.random_point(3)
    end[1] = -start[1]
    with pytest.raises(CutLocusError, match="row 1"):
        Geodesic(space, start, end)
    points = Geodesic(space, start, end, cut_locus="choose")(torch.linspace(0, 1, 5))
    assert space.belongs(points).all()
    assert torch.equal(points[:, -1], end)


@given(gap=st.floats(-6, 0), seed=st.integers(0, 1000), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_stays_on_the_sphere_next_to_antipodes(gap, seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    space = Hypersphere(2)
    start = space.random_point(8, generator=rng, dtype=dtype)
    end = space.projection(10**gap * torch.randn(8, 3, generator=rng, dtype=dtype) - start)
    norm = Geodesic(space, start, end, cut_locus="choose")(torch.linspace(0, 1, 9, dtype=dtype)).norm(dim=-1)
    assert (norm - 1).abs().max() <= 16 * torch.finfo(dtype).eps
