"""Divergences of every pair in a family and with torch's twins, and moments, entropies and modes."""

import pytest
import torch
from scipy import integrate
from torch import distributions as td
from torch.distributions import kl_divergence

from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    VonMisesFisherAngle,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex

from .strategies import direction

F64 = torch.float64
A, B = torch.tensor([0.5, 2.0, 3.0], dtype=F64), torch.tensor([1.5, 1.0, 4.0], dtype=F64)
SIMPLEX = Simplex(2, metric="aitchison")


def pairs():
    yield SphericalUniform(4, dtype=F64), SphericalUniform(4, dtype=F64)
    yield SphericalUniform(4, dtype=F64), PowerSpherical(direction(5), 3.0)
    for n in (2, 3, 10, 200):
        for p, q in ((0.0, 2.0), (2.0, 5.0), (80.0, 30.0)):
            yield PowerSpherical(direction(n), p), PowerSpherical(direction(n, seed=3), q)
    yield PowerSpherical(direction(4), 3.0), PowerSpherical(direction(4), 30.0)
    yield Gaussian(A, B), td.Independent(td.Normal(B, A), 1)
    yield td.Independent(td.Normal(B, A), 1), Gaussian(A, B)
    yield (
        Gaussian(A, B),
        td.MultivariateNormal(B, scale_tril=torch.eye(3, dtype=F64) + torch.full((3, 3), 0.3, dtype=F64).tril()),
    )
    yield td.MultivariateNormal(B, torch.eye(3, dtype=F64) + 0.3), Gaussian(A, B)
    yield Dirichlet(A), td.Dirichlet(B)
    yield td.Dirichlet(A), Dirichlet(B)
    yield InChart(Dirichlet(A)), InChart(Dirichlet(B))
    yield WrappedNormal(Euclidean(3), A, 0.5), WrappedNormal(Euclidean(3), B, 0.7)
    yield WrappedNormal(SIMPLEX, A / A.sum(), 0.5), WrappedNormal(SIMPLEX, B / B.sum(), 0.7)


@pytest.mark.parametrize(("p", "q"), list(pairs()), ids=lambda law: type(law).__name__)
def test_divergence_is_the_mean_log_ratio(p, q):
    torch.manual_seed(0)
    s = p.sample((20_000,))
    ratio = (p.log_prob(s) - q.log_prob(s)).double()
    assert abs(kl_divergence(p, q).double() - ratio.mean()) < 4 * ratio.std() / len(s) ** 0.5 + 1e-9


def test_divergences_have_no_other_form():
    circle = WrappedNormal(Hypersphere(1), direction(2), 0.5)
    for p, q in (
        (circle, circle),
        (InChart(VonMisesFisher(direction(3), 1.0)), InChart(Dirichlet(A))),
        (Gaussian(A), td.Independent(td.Laplace(A, B), 1)),
    ):
        with pytest.raises(NotImplementedError, match=r"no closed form|expected an Independent Normal"):
            kl_divergence(p, q)


def test_power_spherical_divergence_is_continuous_in_the_mean():
    loc = direction(6)
    near = loc + 1e-7 * direction(6, seed=8)
    p, q = PowerSpherical(loc, 4.0), PowerSpherical(near / near.norm(), 9.0)
    assert kl_divergence(p, q).item() == pytest.approx(kl_divergence(p, PowerSpherical(loc, 9.0)).item(), rel=1e-10)
    assert abs(kl_divergence(p, p).item()) < 1e-13


@pytest.mark.parametrize("a", [[2.0, 3.0, 1.5], [0.5, 2.0, 1.0]])
def test_dirichlet_mode_is_torchs(a):
    a = torch.tensor(a, dtype=F64)
    torch.testing.assert_close(Dirichlet(a).mode, td.Dirichlet(a).mode)
    assert Dirichlet(torch.tensor([0.5, 0.9, 0.2])).mode.tolist() == [0, 1, 0]  # torch's divides 0 by 0
    torch.testing.assert_close(Dirichlet(torch.ones(3)).mode, torch.full((3,), 1 / 3))


@pytest.mark.parametrize(
    "law",
    [
        Dirichlet(A),
        Gaussian(A, B),
        SphericalUniform(3, dtype=F64),
        WrappedNormal(Euclidean(3), A, 0.5),
        *(WrappedNormal(Hypersphere(d), direction(d + 1), s) for d in (1, 2, 5) for s in (0.1, 1.0, 20.0)),
        *(VonMisesFisherAngle(torch.tensor(k, dtype=F64), n) for n in (2, 3, 50) for k in (0.0, 3.0, 1e4)),
    ],
    ids=str,
)
def test_moments_and_entropy_are_those_of_draws(law):
    torch.manual_seed(1)
    s = law.sample((40_000,))
    spread = law.variance.sqrt()
    assert (s.mean(0) - law.mean).abs().max() < (4.5 * spread.max() / 200).item()
    second = (s - law.mean).square()
    assert ((second.mean(0) - law.variance).abs() <= 5 * second.std(0) / 200 + 1e-12).all()
    if law.event_shape:
        torch.testing.assert_close(law.covariance_matrix.diagonal(), law.variance)
        difference = torch.cov(s.T) - law.covariance_matrix
        assert difference.abs().max() < 0.03 * spread.max().square()
    log_prob = law.log_prob(s)
    assert abs(-log_prob.mean() - law.entropy()) < 5 * log_prob.std() / 200 + 1e-9
    if not isinstance(law, Dirichlet | SphericalUniform):
        assert law.mode.shape == law.batch_shape + law.event_shape


@pytest.mark.parametrize("n", [2, 3, 9])
def test_angle_against_quadrature(n):
    law = VonMisesFisherAngle(torch.tensor(2.5, dtype=F64), n)

    def density(theta):
        return law.log_prob(torch.tensor(theta, dtype=F64)).exp().item()

    mean = integrate.quad(lambda t: t * density(t), 0, torch.pi)[0]
    assert law.mean.item() == pytest.approx(mean, rel=1e-9)
    assert density(law.mode.item()) >= max(density(law.mode.item() + h) for h in (-1e-3, 1e-3) if law.mode + h >= 0)


@pytest.mark.parametrize(("d", "scale"), [(1, 0.8), (1, 3.0), (3, 0.4), (3, 1.7)])
def test_wrapped_normal_resultant_in_closed_form(d, scale):
    # E cos of sigma times a chi variable: exp(-sigma^2/2), and times (1 - sigma^2) for d = 3
    expected = torch.exp(torch.tensor(-0.5 * scale**2, dtype=F64)) * (1 if d == 1 else 1 - scale**2)
    law = WrappedNormal(Hypersphere(d), direction(d + 1), scale)
    torch.testing.assert_close(law.mean @ law.loc, expected.to(F64), rtol=1e-9, atol=1e-10)


def test_cosine_probabilities_at_and_beyond_the_ends():
    law = VonMisesFisher(direction(3), 2.0)
    w = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype=F64)
    inside = (torch.exp(2 * w[2:5]) - torch.exp(torch.tensor(-2.0, dtype=F64))) / (2 * torch.sinh(torch.tensor(2.0)))
    expected = torch.cat([torch.zeros(2), inside, torch.ones(2)]).to(F64)
    torch.testing.assert_close(law.cosine_cdf(w), expected, rtol=1e-6, atol=1e-9)
