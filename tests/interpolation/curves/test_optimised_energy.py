"""Curve energies: the theorems of the papers, the discretisations, the other metrics, and linear last layers."""

import math

import pytest
import torch
from torch import nn

from manifoldflow.interpolation import (
    CurveEnergy,
    SobolevDescent,
    energy_based,
    inverse_density,
    isometric,
    optimise,
    radial_basis,
    realism_cost,
    realism_energy,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, Torus
from manifoldflow.manifolds.rows import load_forward_mode
from manifoldflow.realism import CallableIndex, StandardNormalIndex, density_index, semicircle

DOUBLE = torch.float64


def curve(segments: int = 400) -> torch.Tensor:
    t = torch.linspace(0, 1, segments + 1, dtype=DOUBLE)
    return torch.stack([3 * t - 1.5, (4 * t).sin(), t.square()], -1)[None]


def decoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 40)).double().requires_grad_(False)


@pytest.mark.parametrize("rule", ["ends", "midpoint"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_realism_is_the_exponential_of_minus_the_length(rule, pieces):
    """Theorem 1: exp of the integral of log ri along the decoded curve, here by quadrature of derivatives."""
    index = StandardNormalIndex(3).regularised(0.1)
    net = decoder()
    t = ((torch.arange(20_000, dtype=DOUBLE) + 0.5) / 20_000)[:, None]

    def gamma(t: torch.Tensor) -> torch.Tensor:
        return torch.cat([3 * t - 1.5, (4 * t).sin(), t.square()], -1)

    load_forward_mode()
    _, velocity = torch.func.jvp(lambda t: net(gamma(t)), (t,), (torch.ones_like(t),))
    speed = velocity.norm(dim=-1)
    log_realism = (index.log(gamma(t)) * speed).mean().item()
    energy = realism_energy(index, net, rule=rule, pieces=pieces)
    assert energy.realism(curve()).log().item() == pytest.approx(log_realism, rel=1e-4)
    squared = (index.log(gamma(t)) * speed).square().mean().item() / 2
    assert energy(curve()).item() == pytest.approx(squared, rel=1e-4)


def test_length_and_energy_bound_each_other():
    energy = realism_energy(StandardNormalIndex(3).regularised(0.1), decoder())
    nodes = torch.randn(20, 9, 3, dtype=DOUBLE)
    assert (energy.length(nodes).square() <= 2 * energy(nodes) * (1 + 1e-12)).all()


def test_eps_of_one_half_is_pure_decoded_length():
    net = decoder()
    index = StandardNormalIndex(3).regularised(0.5)
    nodes = torch.randn(4, 9, 3, dtype=DOUBLE)
    decoded = net(nodes).diff(dim=1).norm(dim=-1).sum(-1)
    torch.testing.assert_close(realism_energy(index, net).length(nodes), math.log(2) * decoded)
    torch.testing.assert_close(CurveEnergy(decoder=net).length(nodes), decoded)


def test_straight_lines_are_optimal_for_a_linear_decoder_and_a_uniform_convex_prior():
    """Observation 1: the index is constant on the support, so only decoded length counts, and lines are shortest."""
    inside = CallableIndex(lambda z: torch.where(z.abs().amax(-1) <= 1, 0.9, 1e-6).to(z))
    linear = nn.Linear(3, 7).double().requires_grad_(False)
    start, end = 2 * torch.rand(2, 6, 3, dtype=DOUBLE) - 1
    bent = start[:, None] + torch.linspace(0, 1, 21, dtype=DOUBLE)[:, None] * (end - start)[:, None]
    bent[:, 1:-1] *= 0.8
    path = optimise(realism_energy(inside, linear), start, end, segments=20, starts=bent)
    straight = -math.log(0.9) * linear(start).sub(linear(end)).norm(dim=-1)
    torch.testing.assert_close(path.solution.length, straight, rtol=1e-4, atol=0)
    assert path.solution.converged.all()


def test_discretisations_are_those_of_the_papers():
    index, net = StandardNormalIndex(3).regularised(0.1), decoder()
    nodes = torch.randn(2, 6, 3, dtype=DOUBLE)
    steps = net(nodes).diff(dim=1).square().sum(-1)
    mean = 0.5 * (index(nodes[:, 1:]) + index(nodes[:, :-1]))
    eq19 = (mean.log().square() * steps).sum(-1)
    torch.testing.assert_close(realism_energy(index, net, rule="ends")(nodes), 5 / 2 * eq19)
    middle = index(0.5 * (nodes[:, 1:] + nodes[:, :-1]))
    later = (middle.log().square() * steps * 5).sum(-1)
    torch.testing.assert_close(realism_energy(index, net, rule="midpoint")(nodes), later / 2)


@pytest.mark.parametrize("tail", [[], [nn.Unflatten(1, (1, 5, 8))], [nn.Identity(), nn.Flatten()]])
def test_linear_last_layers_are_measured_exactly(tail):
    net = nn.Sequential(decoder(), *tail)
    small = isometric(net)
    assert isinstance(small, nn.Sequential)
    z = torch.randn(30, 3, dtype=DOUBLE)
    assert small(z).shape == (30, 5)
    torch.testing.assert_close(torch.cdist(small(z), small(z)), torch.cdist(net(z).flatten(1), net(z).flatten(1)))
    narrow = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 4))
    assert isometric(narrow) is narrow
    assert isometric(torch.sin) is torch.sin


def test_other_conformal_factors():
    prior = semicircle(3, dtype=DOUBLE)
    nodes = prior.sample((4, 8))
    steps = nodes.diff(dim=1).norm(dim=-1)
    middle = 0.5 * (nodes[:, 1:] + nodes[:, :-1])
    density = CurveEnergy(inverse_density(prior.log_prob, beta=0.5, reference=-5.0)).length(nodes)
    torch.testing.assert_close(density, (torch.exp(-0.5 * (prior.log_prob(middle) + 5)) * steps).sum(-1))
    energy = CurveEnergy(energy_based(lambda z: -prior.log_prob(z), alpha=2.0, offset=1.0)).length(nodes)
    torch.testing.assert_close(energy, ((1 - 2 * prior.log_prob(middle)).sqrt() * steps).sum(-1))


def test_radial_basis_metric_is_cheap_on_data_and_dear_off_it():
    angle = torch.linspace(0, math.pi, 400, dtype=DOUBLE)
    data = torch.stack([angle.cos(), angle.sin()], -1)
    factor = radial_basis(data, centres=20, width=2.0)
    assert (factor.value(data) - 1).abs().mean() < 0.1
    assert factor.value(torch.zeros(1, 2, dtype=DOUBLE)).item() < 0.01
    path = optimise(CurveEnergy(factor, pieces=4), data[:1], data[-1:], starts=data[None, ::10])
    assert path.nodes.norm(dim=-1).min() > 0.85


@pytest.mark.parametrize("rule", ["ends", "midpoint"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_gradients(rule, pieces):
    energy = realism_energy(StandardNormalIndex(3).regularised(0.1), decoder(), rule=rule, pieces=pieces)
    nodes = torch.randn(2, 4, 3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(energy, (nodes,))
    assert torch.autograd.gradgradcheck(energy, (nodes,))
    still = torch.ones(1, 4, 3, dtype=DOUBLE, requires_grad=True)
    energy.length(still).sum().backward()
    assert still.grad is not None
    assert still.grad.isfinite().all()


def test_pieces_keep_a_path_from_jumping_over_a_barrier():
    wall = CallableIndex(lambda z: 0.9 - 0.89 * torch.exp(-200 * z[..., 0].square()))
    start, end = torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    jumped, seen = (
        optimise(realism_energy(wall, rule="ends", pieces=p), start, end, segments=8).solution for p in (1, 16)
    )
    truth = CurveEnergy(realism_cost(wall), pieces=200)
    assert truth.length(jumped.nodes).item() > 1.5 * jumped.length.item()
    assert truth.length(seen.nodes).item() == pytest.approx(seen.length.item(), rel=0.1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="rule: expected"):
        CurveEnergy(rule="trapezoid")
    with pytest.raises(ValueError, match="pieces: expected"):
        CurveEnergy(pieces=0)
    with pytest.raises(ValueError, match="beta: expected"):
        inverse_density(lambda z: z, beta=-1.0)
    with pytest.raises(ValueError, match="alpha: expected"):
        energy_based(lambda z: z, alpha=0.0)
    with pytest.raises(ValueError, match="data: expected"):
        radial_basis(torch.zeros(3, 2))
    start = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="offset: expected"):
        optimise(CurveEnergy(energy_based(lambda z: z[..., 0] - 1)), start, start + 1)


def test_float32_agrees_with_float64():
    prior = semicircle(4)
    index = density_index(prior).regularised(0.1)
    nodes = prior.sample((5, 20))
    energy = realism_energy(index)
    torch.testing.assert_close(energy(nodes).double(), energy(nodes.double()), rtol=1e-4, atol=0)
    start, end = prior.sample((2, 5))
    solver = SobolevDescent(tolerance=1e-6)
    low = optimise(energy, start, end, solver=solver).solution
    high = optimise(energy, start.double(), end.double(), solver=solver).solution
    assert low.energy.dtype == torch.float32
    torch.testing.assert_close(low.energy.double(), high.energy, rtol=2e-3, atol=0)


def test_conformal_factors_by_default():
    values = torch.tensor([0.5, 2.0], dtype=DOUBLE)
    torch.testing.assert_close(inverse_density(torch.sin).cost(values), (-values).exp())
    torch.testing.assert_close(inverse_density(torch.sin, beta=0.0).cost(values), torch.ones_like(values))
    torch.testing.assert_close(energy_based(torch.sin).cost(values), values.sqrt())
    energy_based(torch.sin).check(values)
    for offset in (-0.5, -0.6):
        with pytest.raises(ValueError, match="offset: expected"):
            energy_based(torch.sin, offset=offset).check(values)
    realism = realism_cost(StandardNormalIndex(2))
    torch.testing.assert_close(realism.cost(values), -values.log())
    realism.check(torch.tensor([0.0, 1.0, torch.nan]))
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="index: expected values in"):
            realism.check(torch.tensor([0.5, wrong]))


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_one_radial_function_is_the_least_squares_fit(width):
    torch.manual_seed(0)
    data = torch.randn(40, 2, dtype=DOUBLE) + 3
    centre = data.mean(0)
    squared = (data - centre).square().sum(-1)
    bumps = torch.exp(-0.5 * squared / (width**2 * squared.mean()))
    weight = bumps.sum() / bumps.square().sum()
    factor = radial_basis(data, centres=1, width=width)
    torch.testing.assert_close(factor.value(data), weight * bumps)
    far = factor.cost(factor.value(torch.full((1, 2), 1e3, dtype=DOUBLE)))
    assert far.item() == pytest.approx(1e-3**-0.5)
    assert radial_basis(data, centres=1, floor=0.25).cost(torch.zeros(1)).item() == 2
    # as many centres as points: each is a cluster of its own, without a radius
    torch.testing.assert_close(radial_basis(data[:2], centres=2).value(data[:2]), torch.ones(2, dtype=DOUBLE))
    with pytest.raises(ValueError, match="data: expected at least 64 points"):
        radial_basis(data)
    with pytest.raises(ValueError, match="data: expected at least 2 points"):
        radial_basis(data[:1], centres=1)


FLAT, CLR = (Simplex(2, metric=name) for name in ("euclidean", "aitchison"))


@pytest.mark.parametrize("space", [Euclidean(3), Hypersphere(2), Torus(2), Simplex(2), FLAT, CLR], ids=repr)
def test_segments_of_a_space_have_its_lengths(space):
    torch.manual_seed(0)
    start, end = space.random_point(2, dtype=DOUBLE)
    t = torch.linspace(0, 1, 201, dtype=DOUBLE)
    nodes = space.metric.geodesic(start, end)(t)
    energy = CurveEnergy(space=space)
    length = space.metric.dist(start, end).item()
    assert energy.length(nodes).item() == pytest.approx(length, rel=1e-4)
    assert energy(nodes).item() == pytest.approx(length**2 / 2, rel=1e-4)
    domain = energy.domain
    inner = domain.enter(nodes)
    torch.testing.assert_close(domain.leave(inner), nodes)
    middle = domain.leave(domain.between(inner[0], inner[2], 0.5))
    torch.testing.assert_close(middle, nodes[1], atol=1e-4, rtol=0)
    # a step along the tangential part of any vector is one along the curve's own tangent
    moved = domain.leave(domain.retract(inner[0], domain.tangent(inner[1] - inner[0], inner[0])))
    torch.testing.assert_close(moved, nodes[1], atol=1e-4, rtol=0)
