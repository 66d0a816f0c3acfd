"""Bent paths: exact velocities on every space, end points kept, and the shortest curves of a metric that is known."""

import pytest
import torch

import manifoldflow as mf
from manifoldflow.errors import OffManifoldError
from manifoldflow.flows.matching import BentPath, FlowMatching, VectorField, geodesic_path
from manifoldflow.interpolation import CurveEnergy, inverse_density
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

SPACES = {
    "plane": Euclidean(2),
    "sphere": Hypersphere(2),
    "torus": Torus(2),
    "simplex": Simplex(2),
    "simplex, Aitchison": Simplex(2, metric="aitchison"),
    "product": Product([Hypersphere(2), Torus(1)]),
}


def squared_speed(nodes):
    """The energy of a curve in the coordinates of its space."""
    return 0.5 * (nodes.shape[1] - 1) * (nodes[:, 1:] - nodes[:, :-1]).square().sum((-1, -2))


def rough(space, **options):
    torch.manual_seed(0)
    path = BentPath(space, squared_speed, hidden=16, layers=2, **options)
    for p in path.parameters():
        torch.nn.init.normal_(p, std=0.4)
    return path.double()


@pytest.mark.parametrize("name", SPACES)
def test_velocities_and_end_points(name):
    space, path = SPACES[name], rough(SPACES[name])
    start, end = space.random_point(5, dtype=torch.float64), space.random_point(5, dtype=torch.float64)
    t = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    x, u = path(space, t, start, end)
    assert space.belongs(x, atol=1e-9).all()
    assert space.is_tangent(u, x, atol=1e-9).all()
    assert (x - geodesic_path(space, t, start, end)[0]).abs().max() > 1e-3
    h = 1e-6
    with torch.no_grad():
        difference = (path.points(t + h, start, end) - path.points(t - h, start, end)) / (2 * h)
        if name in ("torus", "product"):  # across the ends of the angles
            close = difference.abs() < 1e3
            difference, u = difference[close], u[close]
        torch.testing.assert_close(u, difference, rtol=1e-5, atol=1e-7)
        nodes = path.nodes(start, end, 4)
    torch.testing.assert_close(nodes[:, 0], start)
    torch.testing.assert_close(nodes[:, -1], end)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_untrained_paths_are_geodesics(dtype):
    space = Hypersphere(3)
    path = BentPath(space, CurveEnergy(space=space)).to(dtype)
    start, end, t = space.random_point(6, dtype=dtype), space.random_point(6, dtype=dtype), torch.rand(6, dtype=dtype)
    x, u = path(space, t, start, end)
    y, v = geodesic_path(space, t, start, end)
    torch.testing.assert_close(x, y)
    torch.testing.assert_close(u, v, rtol=1e-4, atol=1e-5)
    assert x.dtype == u.dtype == dtype
    assert path.nodes(start[:0], end[:0]).shape == (0, 31, 4)


def test_paths_become_the_geodesics_of_the_half_plane():
    """The factor 1/y makes the upper half of R^2 the hyperbolic plane, whose distances are known."""
    torch.manual_seed(0)
    space, energy = Euclidean(2), CurveEnergy(inverse_density(lambda z: z[:, 1].clamp_min(1e-3).log()))
    path = BentPath(space, energy, hidden=32, layers=2, segments=16)

    def draw(count):
        return torch.rand(count, 2) * torch.tensor([4.0, 0.5]) + torch.tensor([-2.0, 0.3])

    optimiser = torch.optim.Adam(path.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 250)
    for _ in range(250):
        optimiser.zero_grad()
        path.loss(draw(64), draw(64)).backward()
        optimiser.step()
        schedule.step()
    start, end = draw(200), draw(200)
    distance = (1 + (start - end).square().sum(-1) / (2 * start[:, 1] * end[:, 1])).acosh()
    with torch.no_grad():
        ratio = energy.length(path.nodes(start, end, 100)) / distance
        straight = energy.length(BentPath(space, energy).nodes(start, end, 100)) / distance
    assert float(straight.median()) > 1.1
    assert float(ratio.median()) < 1.03
    assert float(ratio.min()) > 0.99  # shorter than the distance only by the chords


def test_pairs_of_equal_points_have_finite_gradients():
    for space in SPACES.values():
        path = rough(space)
        start = space.random_point(4, dtype=torch.float64)
        path.loss(start, start.clone()).backward()
        assert all(p.grad.isfinite().all() for p in path.parameters())
    still = BentPath(Euclidean(2), squared_speed)
    still.loss(torch.ones(2, 2), torch.ones(2, 2)).backward()
    assert all(p.grad.isfinite().all() for p in still.parameters())


def test_a_flow_follows_bent_paths():
    torch.manual_seed(0)
    space = Hypersphere(2)
    path = rough(space).float()
    flow = FlowMatching(space, path=path, field=VectorField(space, hidden=16, layers=2))
    x = space.random_point(32, dtype=torch.float32)
    flow.loss(x).backward()
    assert flow.field.last.bias.grad.abs().max() > 0
    assert all(p.grad is None for p in path.parameters())
    torch.manual_seed(3)
    bent = float(flow.loss(x).detach())
    torch.manual_seed(3)
    straight = float(FlowMatching(space, field=flow.field).loss(x).detach())
    assert bent != pytest.approx(straight, rel=1e-3)
    assert flow.sample((4,)).shape == (4, 3)


BAD = {
    "energy": (lambda p: BentPath(Hypersphere(2), 3.0), TypeError, "energy: expected a function"),
    "segments": (lambda p: BentPath(Hypersphere(2), squared_speed, segments=1), ValueError, "segments: expected"),
    "points": (lambda p: p.loss(torch.ones(2, 4), torch.ones(2, 3)), (OffManifoldError, ValueError), "start: expected"),
    "kind": (lambda p: p.loss(torch.eye(3), torch.eye(3).long()), TypeError, "end: expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    path = BentPath(Hypersphere(2), squared_speed)
    assert path.loss(torch.eye(3), torch.eye(3).roll(1, 0)).isfinite()
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call(path)
    assert isinstance(mf.flows.matching.BentPath, type)
