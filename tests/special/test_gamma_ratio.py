"""Differences of log-gammas and digammas against mpmath, and their derivatives."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.special import digamma_difference, log_gamma_ratio

arguments = st.floats(-3, 8).map(lambda e: 10.0**e)
steps = st.one_of(st.just(0.0), st.floats(-2, 5).map(lambda e: 10.0**e))


@given(a=arguments, b=steps)
def test_matches_mpmath(a, b):
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    with mpmath.workdps(40):
        ratio = mpmath.loggamma(mpmath.mpf(a) + b) - mpmath.loggamma(a)
        difference = mpmath.digamma(mpmath.mpf(a) + b) - mpmath.digamma(a)
    assert log_gamma_ratio(x, y).item() == pytest.approx(float(ratio), rel=1e-14, abs=1e-14)
    assert digamma_difference(x, y).item() == pytest.approx(float(difference), rel=2e-14, abs=1e-300)


def test_derivatives():
    a = torch.tensor([0.1, 3.0, 15.9, 16.1, 2000.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.5, 2.5, 7.0, 7.0, 390.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(log_gamma_ratio, (a, b))
    assert torch.autograd.gradgradcheck(log_gamma_ratio, (a, b))
    assert torch.autograd.gradcheck(digamma_difference, (a, b))
    (slope,) = torch.autograd.grad(log_gamma_ratio(a, b).sum(), a)
    torch.testing.assert_close(slope, digamma_difference(a, b).detach(), rtol=1e-12, atol=0)


def test_float32_and_broadcasting():
    value = log_gamma_ratio(torch.ones(3, 1), torch.tensor([0.5, 2.0]))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, torch.tensor([-0.1207822, 0.6931472]).expand(3, 2))
