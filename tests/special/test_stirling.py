"""What is left of Stirling's formula, and the divergences made of it, against mpmath at 60 digits."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow.special import bregman_entropy, log1p_excess, stirling, stirling_divergence, stirling_slope

positive = st.floats(-6, 14).map(lambda e: 10.0**e)


def f64(value):
    return torch.tensor(value, dtype=torch.float64)


def remainder(x):
    x = mpmath.mpf(x)
    return mpmath.loggamma(x) - ((x - 0.5) * mpmath.log(x) - x + mpmath.log(2 * mpmath.pi) / 2)


def slope(x):
    x = mpmath.mpf(x)
    return mpmath.digamma(x) - mpmath.log(x) + 1 / (2 * x)


@given(x=positive)
def test_remainder_and_slope(x):
    with mpmath.workdps(60):
        value, derivative = float(remainder(x)), float(slope(x))
    # below 16 the remainder is a difference of numbers up to 28
    assert stirling(f64(x)).item() == pytest.approx(value, rel=1e-14, abs=0 if x >= 16 else 1e-14)
    assert stirling_slope(f64(x)).item() == pytest.approx(derivative, rel=1e-14, abs=0 if x >= 16 else 1e-14)


@given(x=positive, exponent=st.floats(-12, 3), up=st.booleans())
def test_divergence_keeps_its_digits(x, exponent, up):
    ratio = 1 + 10.0**exponent
    y = x * ratio if up else x / ratio
    with mpmath.workdps(80):
        exact = remainder(y) - remainder(x) - (mpmath.mpf(y) - mpmath.mpf(x)) * slope(x)
        # the difference y - x is exact in floats, and so are the leading digits of the whole
        scale = abs((mpmath.mpf(y) - x) ** 2 / mpmath.mpf(x) ** 3) / 12 + abs(exact)
    assert abs(stirling_divergence(f64(x), f64(y)).item() - exact) <= 1e-12 * float(scale) + 1e-300


@given(exponent=st.floats(-15, 8), sign=st.sampled_from([-1, 1]))
def test_excesses_keep_their_digits(exponent, sign):
    x = sign * 10.0**exponent
    if x <= -0.999:
        return
    with mpmath.workdps(60):
        e = mpmath.mpf(x)
        excess, entropy = e - mpmath.log1p(e), (1 + e) * mpmath.log1p(e) - e
    assert log1p_excess(f64(x)).item() == pytest.approx(float(excess), rel=2e-14)
    assert bregman_entropy(f64(x)).item() == pytest.approx(float(entropy), rel=2e-13)


def test_derivatives():
    x = torch.tensor([0.3, 4.0, 15.9, 17.0, 300.0], dtype=torch.float64, requires_grad=True)
    y = (x.detach() * torch.tensor([1.1, 0.7, 1.2, 0.95, 3.0], dtype=torch.float64)).requires_grad_()
    for function in (stirling, stirling_slope):
        assert gradcheck(function, x)
        assert gradgradcheck(function, x)
    assert gradcheck(stirling_divergence, (x, y))
    z = torch.tensor([-0.9, -0.4, 1e-9, 0.4, 7.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(log1p_excess, z)
    assert gradcheck(bregman_entropy, z)


def test_no_overflow_between_extremes():
    for x, y in ((16.0, 1e300), (1e300, 16.0), (1e-5, 1e300), (1e300, 1e-3)):
        assert math.isfinite(stirling_divergence(f64(x), f64(y)).item())
