"""The wrapped normal: sums over preimages normalise, limits, and which spaces are refused."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.autograd import gradcheck
from torch.profiler import ProfilerActivity, profile

from manifoldflow.distributions import WrappedNormal
from manifoldflow.errors import OffManifoldError
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex
from manifoldflow.special import log_sphere_area

from .strategies import FALSE_ALARM, direction


def density_of_angle(law, theta):
    """Density with respect to d theta of the angle to loc, from log_prob alone."""
    d = law.space.dim
    across = direction(d + 1, seed=4)
    across = across - (across @ law.loc) * law.loc
    s = theta.cos()[:, None] * law.loc + theta.sin()[:, None] * across / across.norm()
    area = math.exp(log_sphere_area(d))
    return (law.log_prob(s) + (d - 1) * theta.sin().log()).exp() * area


def gauss_legendre(low, high, count=400):
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(count))
    half = 0.5 * (high - low)
    return low + half * (x + 1), half * w


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
@pytest.mark.parametrize("scale", [0.1, 0.7, 2.0, 8.0])
def test_normalises_and_matches_samples_on_the_sphere(dim, scale):
    law = WrappedNormal(Hypersphere(dim), direction(dim + 1), scale)
    theta, weight = gauss_legendre(0, math.pi)
    assert (weight * density_of_angle(law, theta)).sum().item() == pytest.approx(1, abs=1e-9)
    s = law.sample((5000,))
    drawn = law.space.metric.dist(s, law.loc)
    edges = torch.linspace(0, math.pi, 9, dtype=torch.float64)
    expected = torch.stack(
        [
            (w * density_of_angle(law, t)).sum()
            for t, w in (gauss_legendre(a, b, 100) for a, b in itertools.pairwise(edges))
        ]
    )
    counts = torch.histogram(drawn, edges).hist
    kept = expected > 1e-3
    rest = torch.tensor([expected[~kept].sum(), counts[~kept].sum() / 5000])
    assert (rest < 0.02).all()
    observed, wanted = counts[kept], expected[kept]
    if len(wanted) > 1:
        assert stats.chisquare(observed, wanted / wanted.sum() * observed.sum()).pvalue > FALSE_ALARM


def test_is_torchs_wrapped_sum_on_the_circle():
    theta = torch.linspace(-3, 3, 9, dtype=torch.float64)
    s = torch.stack([theta.sin(), theta.cos()], -1)
    law = WrappedNormal(Hypersphere(1), direction(2, "north"), 1.3)
    turns = 2 * math.pi * torch.arange(-20, 21, dtype=torch.float64)
    expected = (
        torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.3)
        .log_prob(theta[:, None] + turns)
        .logsumexp(-1)
    )
    torch.testing.assert_close(law.log_prob(s), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2, 50])
def test_finite_at_the_mode_and_near_it(dtype, dim):
    loc = direction(dim + 1, dtype=dtype)
    scale = torch.tensor(0.3, dtype=dtype, requires_grad=True)
    point = loc.clone().requires_grad_()
    value = WrappedNormal(Hypersphere(dim), loc, scale).log_prob(point)
    slopes = torch.autograd.grad(value, (point, scale))
    assert all(g.isfinite().all() for g in slopes)
    assert value.item() == pytest.approx(-dim * math.log(0.3 * math.sqrt(2 * math.pi)), rel=1e-5)


def test_derivatives():
    loc, s = direction(4), direction(4, seed=7)
    scale = torch.tensor([0.4, 2.5], dtype=torch.float64, requires_grad=True)

    def log_prob(s, loc, scale):
        s, loc = s / s.norm(), loc / loc.norm()
        return WrappedNormal(Hypersphere(3), loc, scale, validate_args=False).log_prob(s)

    assert gradcheck(log_prob, (s.requires_grad_(), loc.requires_grad_(), scale))


def test_euclidean_is_the_normal():
    law = WrappedNormal(Euclidean(3), torch.zeros(3), 2.0)
    x = torch.randn(4, 3)
    torch.testing.assert_close(law.log_prob(x), torch.distributions.Normal(0.0, 2.0).log_prob(x).sum(-1))


def test_simplex_is_the_logistic_normal():
    loc = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    law = WrappedNormal(Simplex(2, metric="aitchison"), loc, 0.6)
    s = law.sample((8000,))
    assert law.support.check(s).all()
    clr = s.log() - s.log().mean(-1, keepdim=True) - (loc.log() - loc.log().mean())
    # isotropic in the plane orthogonal to (1, 1, 1)
    expected = 0.36 * (torch.eye(3, dtype=torch.float64) - 1 / 3)
    torch.testing.assert_close(torch.cov(clr.T), expected, rtol=0, atol=0.02)


def test_product_adds_its_factors():
    space = Product([Hypersphere(2), Simplex(1, metric="aitchison")], weights=[1.0, 4.0])
    loc = torch.cat([direction(3), torch.tensor([0.4, 0.6], dtype=torch.float64)])
    law = WrappedNormal(space, loc, 0.5)
    s = law.sample((5,))
    first = WrappedNormal(Hypersphere(2), loc[:3], 0.5).log_prob(s[:, :3])
    # a weight of 4 doubles lengths, so one unit of scale reaches half as far
    second = WrappedNormal(Simplex(1, metric="aitchison"), loc[3:], 0.25).log_prob(s[:, 3:])
    torch.testing.assert_close(law.log_prob(s), first + second)


def test_shapes():
    law = WrappedNormal(Hypersphere(2), direction(3), torch.tensor([[0.1], [1.0]]))
    assert law.batch_shape == (2, 1)
    assert law.expand((2, 4)).rsample((3,)).shape == (3, 2, 4, 3)
    assert law.log_prob(law.sample((0,))).shape == (0, 2, 1)


def test_refuses_spaces_without_a_density():
    centre = torch.full((3,), 1 / 3)
    with pytest.raises(ValueError, match="Aitchison"):
        WrappedNormal(Simplex(2), centre, 1.0)
    with pytest.raises(ValueError, match="Aitchison"):
        WrappedNormal(Product([Simplex(2)]), centre, 1.0)
    with pytest.raises(ValueError, match="space: expected"):
        WrappedNormal(object(), centre, 1.0)
    with pytest.raises(OffManifoldError, match="loc"):
        WrappedNormal(Hypersphere(2), centre, 1.0)
    with pytest.raises(ValueError, match="loc: expected shape"):
        WrappedNormal(Hypersphere(3), centre, 1.0)
    with pytest.raises(ValueError, match="scale"):
        WrappedNormal(Hypersphere(2), direction(3), 0.0)


def exact_log_prob(theta, sigma, d):
    """The sum over turns, far past where its terms matter."""
    turns = 2 * math.pi * torch.arange(-2 - int(12 * sigma), 3 + int(12 * sigma), dtype=torch.float64)
    r = (theta[:, None] + turns).abs()
    terms = -0.5 * (r / sigma) ** 2 - d * math.log(sigma * math.sqrt(2 * math.pi)) + (d - 1) * r.log()
    return terms.logsumexp(-1) - (d - 1) * theta.sin().log()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 8, 20, 28, 30, 200])
@pytest.mark.parametrize("sigma", [3.0, 12.999, 13.001, 16.0, 70.0])
def test_wide_laws_are_the_sum_over_turns(d, sigma):
    theta = torch.tensor([1e-3, 0.3, 1.5, 3.0, 3.14], dtype=torch.float64)
    loc, across = torch.eye(d + 1, dtype=torch.float64)[:2]
    s = theta.cos()[:, None] * loc + theta.sin()[:, None] * across
    value = WrappedNormal(Hypersphere(d), loc, sigma).log_prob(s)
    torch.testing.assert_close(value, exact_log_prob(theta, sigma, d), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_cost_is_bounded_at_any_scale(d):
    loc, s = direction(d + 1), direction(d + 1, seed=9)
    scale = torch.tensor([0.5, 1e4, 1e12, 1e150], dtype=torch.float64, requires_grad=True)
    with profile(activities=[ProfilerActivity.CPU]) as counted:
        value = WrappedNormal(Hypersphere(d), loc, scale).log_prob(s)
    assert sum(event.count for event in counted.key_averages()) < 3000  # one for each of 1e4 turns would be more
    (slope,) = torch.autograd.grad(value.sum(), scale)
    assert slope.isfinite().all()
    assert (value[1:].diff().abs() < 1e-6).all()  # flat in the scale
