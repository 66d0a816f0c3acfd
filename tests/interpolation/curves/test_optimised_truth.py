"""Optimised paths against geodesics that are known."""

import math

import pyro
import pytest
import torch

from manifoldflow.interpolation import CurveEnergy, SobolevDescent, optimise
from manifoldflow.manifolds import Hypersphere

from .surfaces import CASES, DOUBLE, Case, torus_lift

PRECISE = SobolevDescent(tolerance=1e-10, max_iterations=2000, memory=20)


def error(case: Case, segments: int) -> torch.Tensor:
    path = optimise(case.energy, case.start, case.end, segments=segments, starts=case.starts, solver=PRECISE)
    assert path.solution.converged.all(), path.solution.reasons()
    return (path.solution.length / case.length - 1).abs()


@pytest.mark.parametrize("name", CASES)
def test_lengths_are_reproduced(name):
    assert error(CASES[name](), 50).max() < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_error_falls_with_the_square_of_the_number_of_segments(name):
    case = CASES[name]()
    coarse, fine = error(case, 16), error(case, 64)
    if case.smooth:
        torch.testing.assert_close(coarse / fine, torch.full_like(fine, 16.0), rtol=0.1, atol=0)
    else:
        assert (fine < coarse.clamp(min=1e-9)).all()


def test_clairaut_relation_holds_on_the_torus():
    case = CASES["surface of revolution"]()
    path = optimise(case.energy, case.start, case.end, segments=200, solver=PRECISE)
    points, steps = torus_lift(path.nodes), torus_lift(path.nodes).diff(dim=1)
    middle = 0.5 * (points[:, 1:] + points[:, :-1])
    momentum = (middle[..., 0] * steps[..., 1] - middle[..., 1] * steps[..., 0]) / steps.norm(dim=-1)
    assert momentum.std(1).max() < 1e-3 * momentum.abs().max()


def test_nodes_stay_on_the_space_and_ends_are_kept():
    for name in ("embedded hypersphere", "Fisher-Rao simplex"):
        case = CASES[name]()
        path = optimise(case.energy, case.start, case.end)
        assert case.energy.space is not None
        assert case.energy.space.belongs(path.nodes).all()
        points = path(torch.tensor([0.0, 0.123, 1.0], dtype=DOUBLE))
        assert case.energy.space.belongs(points[:, 1]).all()
        torch.testing.assert_close(points[:, 0], case.start, rtol=0, atol=0)
        torch.testing.assert_close(points[:, 2], case.end, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_sphere_given_as_any_geomstats_space_gives_the_same(dtype):
    from manifoldflow._geomstats import GeomstatsHypersphere

    case = CASES["embedded hypersphere"]()
    frame = torch.linalg.qr(torch.randn(10, 4, dtype=dtype)).Q
    foreign = CurveEnergy(decoder=lambda s: s @ frame.T, space=GeomstatsHypersphere(3))
    start, end = (torch.nn.functional.normalize(v.to(dtype), dim=-1) for v in (case.start, case.end))
    for starts in ("linear", "geodesic"):
        path = optimise(foreign, start, end, starts=starts)
        assert path.nodes.dtype == dtype
        assert (path.solution.length / case.length - 1).abs().max() < 1e-3
    assert torch.get_default_dtype() == torch.float32


def _flow(dim: int, base: str) -> torch.nn.Module:
    from manifoldflow.charts import Identity, Stereographic
    from manifoldflow.distributions import Gaussian, VonMisesFisher
    from manifoldflow.flows import ManifoldFlow

    torch.manual_seed(3)
    parts = [
        torch.distributions.transforms.AffineTransform(torch.zeros(dim, dtype=DOUBLE), torch.tensor([0.5, 1.0, 2.0])),
        pyro.distributions.transforms.affine_coupling(dim, hidden_dims=[8]).double(),
        pyro.distributions.transforms.Permute(torch.tensor([2, 0, 1])),
        pyro.distributions.transforms.affine_coupling(dim, hidden_dims=[8]).double(),
    ]
    # A coupling layer remembers its last call, which must not answer for points that moved.
    transform = torch.distributions.transforms.ComposeTransform(parts)
    if base == "gaussian":
        return ManifoldFlow(
            transform, Identity(dim), Gaussian(torch.zeros(dim, dtype=DOUBLE), torch.ones(dim, dtype=DOUBLE))
        )
    pole = torch.eye(dim + 1, dtype=DOUBLE)[-1]
    return ManifoldFlow(transform, Stereographic(dim), VonMisesFisher(-pole, torch.tensor(5.0, dtype=DOUBLE)))


@pytest.mark.parametrize("base", ["gaussian", "sphere"])
def test_geodesic_through_a_flow_is_the_pulled_back_closed_form(base):
    """Under the metric that encoding pulls back to data, the decoded latent geodesic is the geodesic."""
    flow = _flow(3, base)
    start, end = 0.6 * torch.randn(2, 5, 3, dtype=DOUBLE)
    s0, s1 = flow.encode(start), flow.encode(end)
    path = optimise(CurveEnergy(decoder=flow.encode), start, end, solver=PRECISE)
    times = torch.linspace(0, 1, 51, dtype=DOUBLE)
    closed = flow.manifold.metric.geodesic(s0, s1)(times)
    exact = flow.manifold.metric.dist(s0, s1)
    assert (path.solution.length / exact - 1).abs().max() < 1e-3
    assert (flow.encode(path.nodes.reshape(-1, 3)).reshape(closed.shape) - closed).abs().max() < 2e-3


def test_antipodal_end_points_on_the_sphere_take_some_great_circle():
    start = torch.tensor([[0.0, 0.0, 1.0]], dtype=DOUBLE)
    given = torch.nn.functional.normalize(torch.tensor([[[0.0, 0, 1], [0.1, 1, 0], [0, 0, -1]]], dtype=DOUBLE), dim=-1)
    path = optimise(CurveEnergy(space=Hypersphere(2)), start, -start, starts=given)
    assert path.solution.length.item() == pytest.approx(math.pi, rel=1e-3)
