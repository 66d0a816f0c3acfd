"""Dirichlet where the concentration is large or two laws are close: against mpmath at 60 digits."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import kl_divergence

from manifoldflow.distributions import Dirichlet

sizes = st.floats(-3, 13).map(lambda e: 10.0**e)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def exact(*vectors):
    return [[mpmath.mpf(v) for v in vector.tolist()] for vector in vectors]


def log_beta(a):
    return mpmath.fsum(map(mpmath.loggamma, a)) - mpmath.loggamma(mpmath.fsum(a))


def exact_kl(a, b):
    with mpmath.workdps(60):
        a, b = exact(a, b)
        mean_log = mpmath.digamma(mpmath.fsum(a))
        return log_beta(b) - log_beta(a) + mpmath.fsum((x - y) * (mpmath.digamma(x) - mean_log) for x, y in zip(a, b))


def exact_entropy(a):
    with mpmath.workdps(60):
        (a,) = exact(a)
        total = mpmath.fsum(a)
        spread = (total - len(a)) * mpmath.digamma(total) - mpmath.fsum((x - 1) * mpmath.digamma(x) for x in a)
        return log_beta(a) + spread


def exact_log_prob(a, s):
    with mpmath.workdps(60):
        a, s = exact(a, s)
        return mpmath.fsum((x - 1) * mpmath.log(y) for x, y in zip(a, s)) - log_beta(a)


@pytest.mark.parametrize("scale", [1e0, 1e4, 1e8, 1e10, 1e12])
def test_divergence_of_proportional_concentrations(scale):
    a = scale * f64(1, 2, 3)
    b = 1.001 * a
    value = kl_divergence(Dirichlet(a), Dirichlet(b)).item()
    assert value == pytest.approx(float(exact_kl(a, b)), rel=1e-11)
    if scale >= 1e4:
        assert value == pytest.approx(4.997e-7, rel=1e-3)  # (D - 1)/2 (r - log(1 + r))


@given(
    scale=sizes,
    shape=st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    exponent=st.floats(-9, 2),
    seed=st.integers(0, 99),
)
def test_divergence_entropy_and_density_match_mpmath(scale, shape, exponent, seed):
    generator = torch.Generator().manual_seed(seed)
    a = scale * f64(*shape)
    b = a * (10.0**exponent * torch.rand(len(shape), dtype=torch.float64, generator=generator)).exp()
    value = kl_divergence(Dirichlet(a), Dirichlet(b)).item()
    assert value == pytest.approx(float(exact_kl(a, b)), rel=1e-9, abs=1e-25)
    assert Dirichlet(a).entropy().item() == pytest.approx(float(exact_entropy(a)), rel=1e-12, abs=1e-12 * len(shape))
    torch.manual_seed(seed)
    s = Dirichlet(a).sample()
    if (s > 1e-300).all():
        expected = float(exact_log_prob(a, s))
        assert Dirichlet(a, validate_args=False).log_prob(s).item() == pytest.approx(expected, rel=1e-11, abs=1e-9)


@pytest.mark.parametrize("scale", [1e8, 1e12])
def test_log_density_near_the_mean(scale):
    a = scale * f64(1, 2, 3)
    for s in (a / a.sum(), Dirichlet(a).sample(), f64(0.17, 0.33, 0.5)):
        assert Dirichlet(a).log_prob(s).item() == pytest.approx(float(exact_log_prob(a, s)), rel=1e-13, abs=1e-8)


def test_derivatives():
    a = f64(0.3, 2.0, 50.0).requires_grad_()
    b = f64(0.4, 5.0, 49.0).requires_grad_()
    s = f64(0.01, 0.04, 0.95).requires_grad_()
    for function, arguments in (
        (lambda a, s: Dirichlet(a, validate_args=False).log_prob(s), (a, s)),
        (lambda a: Dirichlet(a).entropy(), (a,)),
        (lambda a, b: kl_divergence(Dirichlet(a), Dirichlet(b)), (a, b)),
    ):
        assert gradcheck(function, arguments)
        assert gradgradcheck(function, arguments)
    # the slopes of entropy and divergence where the laws are equal
    slope = torch.autograd.grad(kl_divergence(Dirichlet(a), Dirichlet(a.detach().clone())), a)[0]
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-14)
