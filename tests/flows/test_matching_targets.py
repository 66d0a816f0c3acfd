"""Flow matching trained on known laws: the mass of what it learned, how near it is to the truth, there and back."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily

import manifoldflow as mf
from manifoldflow.distributions import VonMises
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField, cut_locus, geodesic_path
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from manifoldflow.manifolds.rows import load_forward_mode


def mixture(law, *weights):
    return MixtureSameFamily(Categorical(torch.tensor(weights)), law)


class Both:
    """Independent laws on the factors of a product; the least that a base needs."""

    has_rsample = False

    def __init__(self, space, *laws):
        self.manifold, self.laws, self.event_shape = space, laws, torch.Size(space.shape)

    def sample(self, shape=()):
        return self.manifold.join([law.sample(shape) for law in self.laws])

    def log_prob(self, x):
        return sum(law.log_prob(part.float()) for law, part in zip(self.laws, self.manifold.split(x)))


def torus_target():
    loc = torch.tensor([[3.0, 0.5], [-1.0, -2.9]])
    return FlowMatching(Torus(2), field=VectorField(Torus(2), hidden=48, layers=3)), mixture(
        VonMises(loc, torch.tensor([[2.0], [4.0]])), 0.6, 0.4
    )


def sphere_target():
    space = Hypersphere(3)
    loc = torch.nn.functional.normalize(torch.tensor([[1.0, 0.3, -0.2, 0.5], [-0.4, 1.0, 0.1, 0.9]]), dim=-1)
    return FlowMatching(space, field=VectorField(space, hidden=48, layers=3)), mixture(
        mf.VonMisesFisher(loc, torch.tensor([6.0, 10.0])), 0.5, 0.5
    )


def product_target():
    space = Product([Hypersphere(2), Torus(1)])
    base = Both(space, mf.distributions.SphericalUniform(2), VonMises(torch.zeros(1), torch.zeros(1)))
    target = Both(
        space,
        mf.VonMisesFisher(torch.tensor([0.6, 0.0, -0.8]), torch.tensor(6.0)),
        VonMises(torch.tensor([3.1]), torch.tensor([4.0])),
    )
    return FlowMatching(space, base=base, field=VectorField(space, hidden=48, layers=3)), target


@pytest.mark.parametrize(
    "case",
    [
        sphere_target,
        pytest.param(torus_target, marks=pytest.mark.slow),
        pytest.param(product_target, marks=pytest.mark.slow),
    ],
)
def test_a_known_law_is_learned(case):
    torch.manual_seed(0)
    flow, target = case()
    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 250)
    for _ in range(250):
        optimiser.zero_grad()
        flow.loss(target.sample((256,))).backward()
        optimiser.step()
        schedule.step()
    space, x = flow.manifold, target.sample((300,))
    with torch.no_grad():
        back = flow.decode(flow.encode(x[:50]))
        flow.solver = Solver(tolerance=1e-4)
        assert abs(float((target.log_prob(x) - flow.log_prob(x)).mean())) < 0.15
        uniform = space.random_point(2000, dtype=torch.float32)
        weights = (flow.log_prob(uniform) + space.log_volume).double().exp()
    torch.testing.assert_close(space.metric.dist(back, x[:50]), torch.zeros(50), rtol=0, atol=1e-4)
    error = float(weights.std()) / math.sqrt(len(weights))
    assert error < 0.1
    assert abs(float(weights.mean()) - 1) < 4 * error  # a false alarm in 10,000 seeds


def test_a_certificate_halves_the_solvers_tolerance():
    torch.manual_seed(0)
    flow = FlowMatching(Torus(1), field=VectorField(Torus(1), hidden=16, layers=2), solver=Solver(tolerance=1e-4))
    torch.nn.init.normal_(flow.field.last.weight, std=0.3)
    x = flow.sample((40,))
    found = certify(flow.distribution(), x[:20], train=x[20:])
    assert found.tolerance == 1e-4
    assert 0 < abs(found.tolerance_effect) < 1e-3
    assert found.mass_by == "quadrature"
    assert found.mass.value == pytest.approx(1, abs=1e-3)
    assert "solver tolerance 0.0001, halved" in str(found)
    fixed = FlowMatching(Torus(1), field=flow.field, solver=Solver("rk4", steps=8))
    assert certify(fixed.distribution(), x[:20], train=x[20:]).tolerance is None


def test_a_field_on_the_torus_is_periodic():
    torch.manual_seed(0)
    space = Torus(3)
    field = VectorField(space, hidden=16, layers=2)
    torch.nn.init.normal_(field.last.weight)
    x, t = space.random_point(5, dtype=torch.float32), torch.rand(5)
    turned = x + 2 * math.pi * torch.tensor([1.0, -1.0, 0.0])
    assert field(t, x).std() > 0.1
    torch.testing.assert_close(field(t, turned), field(t, x), rtol=0, atol=1e-4)


PAIRS = {
    "sphere": (Hypersphere(2), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "torus": (Torus(2), [[math.pi / 2, 0.0], [1.0, 2.0]], [[-math.pi / 2, 1.0], [3.0, -3.0]]),
    "product": (
        Product([Euclidean(1), Hypersphere(1)]),
        [[1.0, 1.0, 0.0], [2.0, 1.0, 0.0]],
        [[1.0, -1.0, 0.0], [3.0, 0.0, 1.0]],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_cut_locus_of_a_batch(name):
    space, start, end = PAIRS[name]
    start, end = torch.tensor(start, dtype=torch.float64), torch.tensor(end, dtype=torch.float64)
    assert cut_locus(space, start, end).tolist() == [True, False]
    x, u = geodesic_path(space, torch.tensor([0.25, 0.25], dtype=torch.float64), start, end)
    assert space.belongs(x).all()
    assert u.isfinite().all()


def test_paths_from_and_to_the_vertices_of_the_simplex():
    """Geodesics of the square roots: (cos, sin) along an edge; nothing is infinite at the ends."""
    space = Simplex(2)
    start, end = torch.eye(3, dtype=torch.float64)[:1], torch.eye(3, dtype=torch.float64)[1:2]
    for t in (0.0, 0.3, 1.0):
        x, u = geodesic_path(space, torch.tensor([t], dtype=torch.float64), start, end)
        angle = math.pi / 2 * t
        expected = torch.tensor([[math.cos(angle) ** 2, math.sin(angle) ** 2, 0.0]], dtype=torch.float64)
        torch.testing.assert_close(x, expected)
        slope = math.pi / 2 * math.sin(2 * angle)
        torch.testing.assert_close(u, torch.tensor([[-slope, slope, 0.0]], dtype=torch.float64))
    assert cut_locus(space, start, end) is None
    assert cut_locus(Euclidean(2), start, end) is None
    assert FlowMatching(space).loss(torch.eye(3)).isfinite()


@pytest.mark.parametrize("space", [Hypersphere(2), Simplex(3), Torus(2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_velocities_are_the_derivatives_of_the_points(space, dtype):
    torch.manual_seed(0)
    start, end = space.random_point(6, dtype=dtype), space.random_point(6, dtype=dtype)
    end[0] = start[0]
    t = torch.rand(6, dtype=dtype)
    load_forward_mode()
    (x, u), (rise, bend) = torch.func.jvp(lambda s: geodesic_path(space, s, start, end), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(rise, u, rtol=1e-4, atol=1e-5 if dtype == torch.float32 else 1e-10)
    assert x.dtype == u.dtype == dtype
    assert bend.isfinite().all()
