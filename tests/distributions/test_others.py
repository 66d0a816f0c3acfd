"""Power spherical, spherical uniform and Gaussian densities; divergences between all."""

import functools
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.distributions import kl_divergence

from manifoldflow.distributions import Dirichlet, Gaussian, PowerSpherical, SphericalUniform, VonMisesFisher
from manifoldflow.special import log_sphere_area

from .strategies import direction


@functools.cache
def legendre(count):
    """Nodes and weights on [-1, 1]; 2,000 of them take numpy seconds."""
    return tuple(torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(count))


def cosine_rule(n, count=2000):
    """Cosines and weights that integrate functions of mu.s over the sphere, by the substitution w = cos theta."""
    x, w = legendre(count)
    theta = 0.5 * math.pi * (x + 1)
    weight = 0.5 * math.pi * w * theta.sin() ** (n - 2) * math.exp(log_sphere_area(n - 1))
    return theta, weight


def at_angle(loc, theta):
    across = direction(len(loc), seed=4)
    across = across - (across @ loc) * loc
    return theta.cos()[:, None] * loc + theta.sin()[:, None] * across / across.norm()


@pytest.mark.parametrize("law", [VonMisesFisher, PowerSpherical])
@pytest.mark.parametrize("n", [2, 3, 10, 100])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 30.0, 1e3])
def test_normalisation_entropy_and_moments_by_quadrature(law, n, kappa):
    p = law(direction(n), kappa)
    theta, weight = cosine_rule(n)
    log_prob = p.log_prob(at_angle(p.loc, theta))
    mass = weight * log_prob.exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-11)
    assert -(mass * log_prob).sum().item() == pytest.approx(p.entropy().item(), rel=1e-11, abs=1e-11)
    mean = (mass * theta.cos()).sum()
    assert mean.item() == pytest.approx(p.mean_resultant_length.item(), rel=1e-11, abs=1e-13)
    spread = (mass * (theta.cos() - mean) ** 2).sum()
    assert spread.item() == pytest.approx(p.cosine_variance.item(), rel=1e-9)
    across = (mass * theta.sin() ** 2).sum() / (n - 1)
    assert across.item() == pytest.approx(p.transverse_variance.item(), rel=1e-10)


def test_power_spherical_ends():
    loc = direction(4)
    s = torch.stack([loc, -loc]).requires_grad_()
    law = PowerSpherical(loc, 3.0)
    assert law.log_prob(-loc).item() == -torch.inf
    assert PowerSpherical(loc, 0.0).log_prob(-loc).item() == pytest.approx(-math.log(2 * math.pi**2))
    (gradient,) = torch.autograd.grad(law.log_prob(s)[0], s)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("n", [2, 3, 785, 100_000])
def test_power_spherical_is_accurate_at_high_concentration(n):
    import mpmath

    for kappa in (1.0, 1e4, 1e8):
        with mpmath.workdps(40):
            b, k = mpmath.mpf(n - 1) / 2, mpmath.mpf(kappa)
            a = b + k
            log_mode = mpmath.loggamma(a + b) - mpmath.loggamma(a) - 2 * b * mpmath.log(2) - b * mpmath.log(mpmath.pi)
            entropy = k * (mpmath.digamma(a + b) - mpmath.digamma(a)) - log_mode
        law = PowerSpherical(direction(n), kappa)
        assert law.log_prob(law.loc).item() == pytest.approx(float(log_mode), rel=2e-14)
        assert law.entropy().item() == pytest.approx(float(entropy), rel=2e-14)


def test_power_spherical_derivatives():
    loc, s = direction(5).requires_grad_(), direction(5, seed=2).requires_grad_()
    kappa = torch.tensor([0.5, 40.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda m, k, s: PowerSpherical(m, k, validate_args=False).log_prob(s), (loc, kappa, s))
    assert gradcheck(lambda k: PowerSpherical(loc.detach(), k).entropy(), kappa)


def test_spherical_uniform():
    law = SphericalUniform(3, dtype=torch.float64)
    assert law.log_prob(law.sample((2, 5))).shape == (2, 5)
    assert law.entropy().item() == pytest.approx(math.log(2 * math.pi**2))
    assert law.expand((4,)).rsample((2,)).shape == (2, 4, 4)
    assert law.variance.sum() == 1
    torch.testing.assert_close(law.entropy(), VonMisesFisher(direction(4), 0.0).entropy())


def pairs():
    loc, other = direction(6), direction(6, seed=3)
    vmf = [VonMisesFisher(loc, k) for k in (0.0, 2.0, 40.0)]
    yield from ((p, VonMisesFisher(other, k)) for p in vmf for k in (0.5, 10.0))
    yield vmf[1], SphericalUniform(5)
    yield SphericalUniform(5, dtype=torch.float64), vmf[1]
    yield PowerSpherical(loc, 4.0), vmf[1]
    yield PowerSpherical(loc, 4.0), SphericalUniform(5)
    a, b = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64), torch.tensor([1.5, 1.0, 4.0], dtype=torch.float64)
    yield Dirichlet(a), Dirichlet(b)
    yield Gaussian(a, b), Gaussian(b, a)


@pytest.mark.parametrize(("p", "q"), list(pairs()), ids=lambda law: type(law).__name__)
def test_divergence_is_the_mean_log_ratio(p, q):
    s = p.sample((20_000,))
    ratio = (p.log_prob(s) - q.log_prob(s)).double()
    error = ratio.std() / len(s) ** 0.5 + 1e-12
    assert abs(kl_divergence(p, q).double() - ratio.mean()) < 4 * error


@pytest.mark.parametrize("n", [2, 3, 785, 100_000])
def test_divergence_to_itself_is_zero(n):
    for kappa in (0.0, 1.0, 1e4, 1e8):
        p = VonMisesFisher(direction(n), kappa)
        assert abs(kl_divergence(p, p).item()) <= 1e-15 * n * math.log(kappa + 10)


def test_divergence_to_the_uniform_keeps_its_digits_at_small_concentration():
    # kappa^2 / (2 n) to leading order
    p = VonMisesFisher(direction(4), 1e-6)
    assert kl_divergence(p, SphericalUniform(3)).item() == pytest.approx(1e-12 / 8, rel=1e-11)


@pytest.mark.parametrize(("n", "kappa"), [(3, 1e-3), (3, 1e8), (785, 1.0), (785, 1e4), (100_000, 1e8)])
def test_float32_divergences_of_the_power_spherical_keep_their_digits(n, kappa):
    loc = direction(n)
    exact, rounded = PowerSpherical(loc, kappa), PowerSpherical(loc.float(), torch.tensor(kappa))
    value = kl_divergence(rounded, SphericalUniform(n - 1)).item()
    assert value == pytest.approx(kl_divergence(exact, SphericalUniform(n - 1)).item(), rel=1e-6)
    value = kl_divergence(rounded, VonMisesFisher(rounded.loc, kappa)).item()
    assert value == pytest.approx(kl_divergence(exact, VonMisesFisher(loc, kappa)).item(), rel=1e-6, abs=1e-6)


def test_divergences_refuse_other_dimensions():
    with pytest.raises(ValueError, match="q: expected event shape"):
        kl_divergence(VonMisesFisher(direction(3), 1.0), SphericalUniform(3))


def test_gaussian():
    law = Gaussian(torch.zeros(2, 3), 2.0)
    assert law.batch_shape == (2,)
    assert law.sample((4,)).shape == (4, 2, 3)
    reference = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2, 3), torch.tensor(2.0)), 1)
    torch.testing.assert_close(law.entropy(), reference.entropy())
    torch.testing.assert_close(law.variance, reference.variance)
    assert law.manifold.dim == law.default_chart().dim == 3
