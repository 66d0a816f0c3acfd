"""Samplers against their own densities: Kolmogorov-Smirnov tests, each with a false-alarm rate of 1e-4, fixed seeds."""

import math

import pytest
import torch
from pyro.distributions.testing import gof
from scipy import stats

from manifoldflow.distributions import PowerSpherical, SphericalUniform, VonMisesFisher

from .strategies import FALSE_ALARM, assert_uniform, direction


def angles(s, loc):
    return 2 * torch.atan2((s - loc).double().norm(dim=-1), (s + loc).double().norm(dim=-1))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 100, 785, 3073])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 1.0, 10.0])
def test_angle_to_the_mean(n, ratio):
    law = VonMisesFisher(direction(n), ratio * n)
    s = law.sample((2000,))
    assert ((s.norm(dim=-1) - 1).abs() < 1e-14).all()
    assert_uniform(law.angle.cdf(angles(s, law.loc)))


@pytest.mark.parametrize("n", [2, 3, 100])
def test_angle_to_the_mean_at_huge_concentration(n):
    law = VonMisesFisher(direction(n), 1e8)
    assert_uniform(law.angle.cdf(angles(law.sample((2000,)), law.loc)))


@pytest.mark.parametrize("kind", ["north", "south", "random"])
@pytest.mark.parametrize("n", [2, 3, 4, 15, 16, 785])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_mean_direction_is_as_good(n, kind, dtype):
    loc = direction(n, kind, dtype)
    law = VonMisesFisher(loc, float(n))
    s = law.sample((2000,))
    assert s.dtype == dtype
    assert ((s.double().norm(dim=-1) - 1).abs() < 8 * torch.finfo(dtype).eps).all()
    assert law.support.check(s).all()
    assert_uniform(law.angle.cdf(angles(s, loc)))
    # The direction orthogonal to the mean is uniform: one coordinate of it has a beta law.
    s, loc = s.double(), loc.double()
    across = s - (s * loc).sum(-1, keepdim=True) * loc
    across = across / across.norm(dim=-1, keepdim=True)
    axis = direction(n, seed=3)
    axis = axis - (axis * loc).sum() * loc
    height = (across * axis / axis.norm()).sum(-1)
    if n == 2:
        assert abs((height > 0).double().mean() - 0.5) < 4 * 0.5 / math.sqrt(2000)
    else:
        half = (n - 2) / 2
        assert_uniform(torch.from_numpy(stats.beta(half, half).cdf((0.5 + 0.5 * height).numpy())))


def test_pyro_goodness_of_fit_on_the_circle():
    law = VonMisesFisher(direction(2), 1.5)
    s = law.sample((20_000,))
    phase = torch.atan2(s[:, 1], s[:, 0])
    assert gof.auto_goodness_of_fit(phase, law.log_prob(s).exp(), dim=1) > FALSE_ALARM


@pytest.mark.parametrize("n", [2, 3, 10, 785])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 3.0])
def test_power_spherical(n, ratio):
    law = PowerSpherical(direction(n), ratio * n)
    s = law.sample((2000,))
    assert ((s.norm(dim=-1) - 1).abs() < 1e-14).all()
    half = (n - 1) / 2
    haversine = (0.5 * angles(s, law.loc)).sin().square()
    assert_uniform(torch.from_numpy(stats.beta(half, half + ratio * n).cdf(haversine.numpy())))


@pytest.mark.parametrize("dim", [1, 2, 784])
def test_spherical_uniform(dim):
    s = SphericalUniform(dim, dtype=torch.float64).sample((2000,))
    half = dim / 2
    haversine = (0.5 * angles(s, direction(dim + 1))).sin().square()
    assert_uniform(torch.from_numpy(stats.beta(half, half).cdf(haversine.numpy())))


def test_seeds_are_torchs():
    law = VonMisesFisher(direction(6), 4.0)
    torch.manual_seed(3)
    first = law.sample((4,))
    torch.manual_seed(3)
    assert torch.equal(first, law.sample((4,)))
    assert not torch.equal(first, law.sample((4,)))


def test_batched_draws_equal_the_laws_of_their_members():
    # Concentrations of very different size in one call, each row with its own mean direction.
    kappa = torch.tensor([0.0, 1.0, 50.0, 1e6], dtype=torch.float64)
    loc = torch.stack([direction(5, seed=i) for i in range(4)])
    law = VonMisesFisher(loc, kappa)
    s = law.sample((2000,))
    theta = angles(s, loc)
    for i in range(4):
        assert_uniform(law.angle.cdf(theta)[:, i])
