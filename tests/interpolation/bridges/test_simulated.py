"""Simulated bridges: Langevin against its exact law, Brownian on the sphere against the heat kernel, the typical
bridge.
"""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from manifoldflow.errors import CutLocusError, OffManifoldError
from manifoldflow.interpolation import (
    GaussianProcessBridge,
    LangevinBridge,
    OrnsteinUhlenbeck,
    Slerp,
    SphereBrownianBridge,
    SquaredExponential,
    TypicalBridge,
)
from manifoldflow.interpolation.bridges.sphere_bridge import _volume_terms
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex

T11 = torch.linspace(0, 1, 11)
Z0, Z1 = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0])


def test_the_langevin_bridge_of_the_standard_normal_is_the_ornstein_uhlenbeck_bridge():
    exact = GaussianProcessBridge(Z0, Z1, horizon=2.0)
    paths = LangevinBridge(Z0, Z1, horizon=2.0).simulate(T11, 20_000, substeps=20)
    assert torch.equal(paths.log_weight, torch.zeros_like(paths.log_weight))
    assert paths.effective_sample_size.item() == pytest.approx(20_000)
    assert (paths.points.mean(0) - exact.mean(T11)).abs().max() < 0.03
    assert (paths.points.var(0) - exact.variance(T11)[:, None]).abs().max() < 0.03
    drawn = exact.sample(T11, (20_000,))
    for i in (2, 5, 8):
        assert stats.ks_2samp(paths.points[:, i, 0], drawn[:, i, 0]).statistic < 0.025  # the time step's bias included
    # Not only the marginals: neighbours too.
    step = paths.points[:, 6, 0] - paths.points[:, 5, 0], drawn[:, 6, 0] - drawn[:, 5, 0]
    assert stats.ks_2samp(*step).statistic < 0.025


def test_the_bias_falls_with_the_time_step():
    exact = GaussianProcessBridge(Z0, Z1, horizon=4.0).variance(torch.tensor([0.5])).item()
    off = []
    for substeps in (1, 8):
        points = LangevinBridge(Z0, Z1, horizon=4.0).simulate(T11, 40_000, substeps=substeps).points
        off.append(abs(points[:, 5].var(0).mean().item() - exact))
    assert off[1] < off[0] / 3


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_weights_make_the_law_exact_for_another_prior(rate):
    """N(0, 2): its own bridge is an Ornstein-Uhlenbeck bridge of rate 1/2, which neither guide knows."""
    exact = GaussianProcessBridge(Z0 / 2**0.5, Z1 / 2**0.5, kernel=OrnsteinUhlenbeck(0.5), horizon=2.0)
    bridge = LangevinBridge(Z0, Z1, score=lambda x: -x / 2, horizon=2.0, rate=rate)
    paths = bridge.simulate(T11, 20_000, substeps=40)
    mean, variance = 2**0.5 * exact.mean(T11), 2 * exact.variance(T11)[:, None]
    weights = paths.weights[:, None, None]
    assert (paths.mean() - mean).abs().max() < 0.05
    assert ((weights * (paths.points - paths.mean()).square()).sum(0) - variance).abs().max() < 0.06
    assert (paths.points.var(0) - variance).abs().max() > 0.15  # which the simulated paths alone miss
    assert 1000 < paths.effective_sample_size.item() < 20_000
    resampled = paths.resample(5000)
    assert (resampled.var(0) - variance).abs().max() < 0.12


def test_a_bimodal_prior_in_batches():
    def score(x):  # equal mixture of N(+-2, 1/4) in every coordinate
        return -4 * x + 8 * torch.tanh(8 * x)

    start, end = torch.full((3, 2, 2), -2.0), torch.full((3, 2, 2), 2.0)
    paths = LangevinBridge(start, end, score=score, horizon=2.0, event_dim=2).simulate(T11, 200)
    assert paths.points.shape == (200, 3, 11, 2, 2)
    assert torch.equal(paths.points[:, :, 0], start.expand(200, 3, 2, 2))
    assert torch.equal(paths.points[:, :, -1], end.expand(200, 3, 2, 2))
    assert paths.effective_sample_size.shape == (3,)
    assert (paths.effective_sample_size >= 1).all()
    assert torch.allclose(paths.weights.sum(0), torch.ones(3, dtype=torch.float64))
    assert paths.mean().shape == (3, 11, 2, 2)
    assert paths.resample(7).shape == (7, 3, 11, 2, 2)
    assert paths.path()(torch.tensor([0.05])).shape == (200, 3, 1, 2, 2)


def heat_kernel(d, cosine, time):
    """Transition density of Brownian motion on S^d relative to the uniform law, by its Gegenbauer series."""
    half = (d - 1) / 2
    degrees = np.arange(40)
    terms = [
        (2 * k + d - 1) / (d - 1) * special.eval_gegenbauer(k, half, cosine) * np.exp(-k * (k + d - 1) * time / 2)
        for k in degrees
    ]
    return np.sum(terms, 0)


@pytest.mark.parametrize(("d", "horizon"), [(2, 1.0), (3, 1.0), (5, 0.5)])
def test_brownian_bridge_against_the_heat_kernel(d, horizon):
    x, y = torch.zeros(2, d + 1, dtype=torch.float64)
    x[0], y[0], y[1] = 1.0, math.cos(1.2), math.sin(1.2)
    space = Hypersphere(d)
    paths = SphereBrownianBridge(space, x, y, horizon=horizon).simulate(T11, 10_000, substeps=10)
    middle = paths.points[:, 5]
    uniform = space.random_point(60_000, dtype=torch.float64)
    density = heat_kernel(d, (uniform @ x).numpy(), horizon / 2) * heat_kernel(d, (uniform @ y).numpy(), horizon / 2)
    density = density / density.sum()
    for statistic in (lambda p: p @ x, lambda p: p @ y, lambda p: (p @ x).square()):
        wanted = (density * statistic(uniform).numpy()).sum()
        found = (paths.weights * statistic(middle)).sum().item()
        assert found == pytest.approx(wanted, abs=0.012)  # four standard errors and the time step's bias
    assert paths.effective_sample_size.item() > 9000


@pytest.mark.parametrize("d", [2, 3, 7])
def test_the_weight_of_the_guide_is_its_defect_in_the_heat_equation(d):
    """(d/dt + half the Laplacian) u / u of the guide, by automatic differentiation in the distance."""

    def log_guide(r, tau):
        return -d / 2 * torch.log(tau) + (d - 1) / 2 * torch.log(r / torch.sin(r)) - r**2 / (2 * tau)

    for distance in (0.05, 0.3, 1.0, 2.5):
        r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        first, by_tau = torch.autograd.grad(log_guide(r, tau), (r, tau), create_graph=True)
        (second,) = torch.autograd.grad(first, r)
        # The Laplacian of a radial function is u'' + (d - 1) cot(r) u'; time runs against tau.
        defect = -by_tau + 0.5 * (second + first**2 + (d - 1) / torch.tan(r) * first)
        excess, potential = _volume_terms(r.detach()[None], d)
        assert potential.item() == pytest.approx(defect.item(), rel=1e-5, abs=1e-7)
        assert (-(1 / 0.7 - excess) * distance).item() == pytest.approx(first.item(), rel=1e-6)


@pytest.mark.parametrize("space", [Hypersphere(2), Hypersphere(30), Simplex(4)], ids=repr)
def test_brownian_paths_stay_on_the_space(space):
    start, end = space.random_point(3), space.random_point(3)
    bridge = SphereBrownianBridge(space, start, end, horizon=0.3)
    points = bridge.sample(T11, (4,))
    assert points.shape == (4, 3, 11, space.shape[0])
    assert space.belongs(points).all()
    assert torch.equal(points[:, :, 0], start.expand(4, *start.shape))
    assert torch.equal(points[:, :, -1], end.expand(4, *end.shape))
    assert bridge.sample(T11, (4,), chunk=3).shape == points.shape
    assert bridge.sample(T11, (0,)).shape == (0, 3, 11, space.shape[0])


def test_brownian_bridge_over_a_short_time_is_the_geodesic():
    space = Hypersphere(4)
    start, end = space.random_point(2)
    points = SphereBrownianBridge(space, start, end, horizon=1e-6).sample(T11, (5,))
    assert torch.allclose(points, space.metric.geodesic(start, end)(T11).expand_as(points), atol=1e-2)


def test_typical_bridge_keeps_the_norm_and_the_ends():
    n = 512
    start, end = torch.randn(3, n), torch.randn(3, n)
    for horizon in (0.1, 1.0, 20.0):
        bridge = TypicalBridge(start, end, spread=0.8, horizon=horizon)
        t = torch.linspace(0, 1, 9)
        points = bridge.sample(t, (50,))
        slerp = Slerp(start, end)(t)
        assert torch.allclose(points.norm(dim=-1), slerp.norm(dim=-1).expand(50, 3, 9), rtol=1e-5)
        assert torch.allclose(points[:, :, 0], start.expand(50, 3, n), atol=1e-6)
        assert torch.allclose(points[:, :, -1], end.expand(50, 3, n), atol=1e-6)
        # Ends are not forgotten: the angle to the great circle is the noise's, not that of a random direction.
        cosine = (points * slerp).sum(-1) / slerp.norm(dim=-1) / points.norm(dim=-1)
        wanted = torch.cos(0.8 * bridge.noise.variance(t).sqrt())
        assert torch.allclose(cosine.mean((0, 1)), wanted, atol=0.01)
        assert (_unit(points.mean(0)) * _unit(slerp)).sum(-1).min() > 0.98


def _unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def test_typical_noise_is_normal_to_the_path():
    start, end = torch.randn(2, 6, dtype=torch.float64)
    bridge = TypicalBridge(start, end, kernel=SquaredExponential(0.3))
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    points = bridge.sample(t, (40,))
    centre = Slerp(start, end)
    direction = _unit(centre(t))
    off = points - (points * direction).sum(-1, keepdim=True) * direction
    assert ((off * start).sum(-1).abs() < 1e-10).all()
    assert ((off * end).sum(-1).abs() < 1e-10).all()


def test_typical_bridge_of_equal_points_and_images():
    z = torch.randn(2, 4, 8, 8)
    points = TypicalBridge(z, z, event_dim=3).sample(torch.linspace(0, 1, 5), (3,))
    assert points.shape == (3, 2, 5, 4, 8, 8)
    assert points.isfinite().all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LangevinBridge(Z0, Z1, horizon=0.0), ValueError, "horizon: expected a positive"),
        (lambda: LangevinBridge(Z0, Z1, rate=-1.0), ValueError, "rate: expected a nonnegative"),
        (lambda: LangevinBridge(Z0, Z1).simulate(torch.tensor([0.0, 0.5])), ValueError, "begin with 0 and end with 1"),
        (lambda: LangevinBridge(Z0, Z1).simulate(T11, 0), ValueError, "samples: expected an integer"),
        (lambda: LangevinBridge(Z0, Z1).simulate(T11, substeps=0), ValueError, "substeps: expected an integer"),
        (lambda: TypicalBridge(Z0, Z1), ValueError, "start: expected at least 3 coordinates, got 2"),
        (lambda: TypicalBridge(torch.ones(3), -torch.ones(3)), CutLocusError, "antipodal points"),
        (lambda: TypicalBridge(torch.ones(3), torch.rand(3), spread=2.0), ValueError, "spread: expected an angle"),
        (lambda: SphereBrownianBridge(Euclidean(2), Z0, Z1), ValueError, "space: expected a Hypersphere or a Simplex"),
        (lambda: SphereBrownianBridge(Hypersphere(1), Z0, Z1), OffManifoldError, "start: expected points on"),
        (
            lambda: SphereBrownianBridge(Hypersphere(2), torch.eye(3)[0], -torch.eye(3)[0]),
            CutLocusError,
            "antipodes",
        ),
        (lambda: LangevinBridge(Z0, Z1, rate="fast"), ValueError, "rate: expected a nonnegative finite number"),
        (lambda: LangevinBridge(Z0, Z1, centre=torch.zeros(7)), ValueError, "centre: expected a number or a tensor"),
        (
            lambda: LangevinBridge(Z0, Z1, score=lambda x: x.sum(-1)).sample(T11),
            ValueError,
            "score: expected a gradient of the shape of a point",
        ),
        (
            lambda: LangevinBridge(Z0, Z1, score=lambda x: x / 0).sample(T11),
            ValueError,
            "score: paths have left the finite numbers",
        ),
        (
            lambda: TypicalBridge(torch.eye(3)[0], torch.eye(3)[1], spread="wide"),
            ValueError,
            "spread: expected an angle",
        ),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [0, 1e-8, 1e-7, 1e-6, 1e-3])
def test_typical_bridge_of_nearly_equal_points_keeps_the_norm(apart, dtype):
    start = torch.randn(20, 64, dtype=dtype)
    bridge = TypicalBridge(start, start + apart * torch.randn(20, 64, dtype=dtype))
    t = torch.linspace(0, 1, 9, dtype=dtype)
    ratio = bridge.sample(t, (5,)).norm(dim=-1) / bridge.mean(t).norm(dim=-1)
    assert (ratio - 1).abs().max() < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize(
    "make",
    [
        lambda: LangevinBridge(torch.zeros(3, 2), torch.ones(3, 2)),
        lambda: SphereBrownianBridge(Hypersphere(1), torch.eye(2), torch.eye(2).flip(0)),
    ],
)
def test_simulated_samples_at_any_times(make):
    bridge = make()
    inner = bridge.sample(torch.tensor([0.25, 0.5]), (4,))
    assert inner.shape == (4, *bridge.batch_shape, 2, 2)
    assert not torch.equal(inner[..., 1, :], bridge.end.expand(4, *bridge.end.shape))
    assert torch.equal(bridge.sample(torch.tensor([0.5, 1.0]))[..., 1, :], bridge.end)
    assert bridge.sample(torch.zeros(0), (4,)).shape == (4, *bridge.batch_shape, 0, 2)
