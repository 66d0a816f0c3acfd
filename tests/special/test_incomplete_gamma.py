"""Incomplete gamma functions against mpmath, their inverses, tails and gradients."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.special import gammainccinv, gammaincinv, log1mexp, log_gammainc, log_gammaincc, log_ndtri

SHAPES = (1e-3, 0.3, 0.5, 1.0, 2.5, 10.0, 16.0, 16.5, 100.0, 392.0, 1536.0, 5e4)
DEVIATIONS = (-12.0, -5.0, -1.0, -0.1, 0.0, 0.1, 1.0, 5.0, 12.0, 40.0)
shapes = st.floats(1e-3, 1e5)
DOUBLE = torch.float64


def points() -> list[tuple[float, float]]:
    grid = []
    for a in SHAPES:
        for deviation in DEVIATIONS:
            x = a + deviation * math.sqrt(a)
            grid.append((a, x if x > 0 else a * 2.0**deviation))
    return grid


def test_logs_match_mpmath_in_body_and_tails():
    with mpmath.workdps(40):
        for a, x in points():
            gamma = mpmath.gamma(a)
            lower = float(mpmath.log(mpmath.gammainc(a, 0, x) / gamma))
            upper = float(mpmath.log(mpmath.gammainc(a, x, mpmath.inf) / gamma))
            a_, x_ = torch.tensor(a, dtype=DOUBLE), torch.tensor(x, dtype=DOUBLE)
            assert log_gammainc(a_, x_).item() == pytest.approx(lower, rel=1e-13, abs=1e-12)
            assert log_gammaincc(a_, x_).item() == pytest.approx(upper, rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("a", [0.01, 0.5, 2.0, 30.0, 200.0])
@pytest.mark.parametrize("share", [0.5, 0.95, 1.0, 1.05, 1.5])
def test_gradient_in_the_shape_matches_mpmath(a, share):
    x = a * share
    with mpmath.workdps(40):
        expected = float(mpmath.diff(lambda b: mpmath.log(mpmath.gammainc(b, 0, x) / mpmath.gamma(b)), a))
    shape = torch.tensor(a, dtype=DOUBLE, requires_grad=True)
    log_gammainc(shape, torch.tensor(x, dtype=DOUBLE)).backward()
    assert shape.grad is not None
    assert shape.grad.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("function", [log_gammainc, log_gammaincc])
def test_first_and_second_gradients(function):
    a = torch.tensor([0.05, 0.7, 3.0, 40.0, 40.0, 500.0], dtype=DOUBLE, requires_grad=True)
    x = torch.tensor([0.04, 1.3, 1.1, 39.0, 60.0, 505.0], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(function, (a, x), rtol=1e-5)
    assert torch.autograd.gradgradcheck(function, (a, x), rtol=1e-4)


@pytest.mark.parametrize("function", [gammaincinv, gammainccinv])
def test_inverse_gradients(function):
    a = torch.tensor([0.4, 3.0, 40.0], dtype=DOUBLE, requires_grad=True)
    p = torch.tensor([0.3, 0.6, 0.02], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(function, (a, p), rtol=1e-5)
    assert torch.autograd.gradgradcheck(function, (a, p), rtol=1e-4)


@given(a=shapes, log_tail=st.floats(-600, -1e-6))
def test_inverses_undo_the_logs(a, log_tail):
    a_, tail = torch.tensor(a, dtype=DOUBLE), torch.tensor(log_tail, dtype=DOUBLE)
    for inverse, forward in ((gammaincinv, log_gammainc), (gammainccinv, log_gammaincc)):
        x = inverse(a_, tail, log=True)
        if 1e-290 < x < math.inf:
            # The condition number of the tail bounds what a rounded x can reproduce.
            slack = 4e-16 * x * torch.func.grad(lambda v, f=forward: f(a_, v))(x).abs()
            assert forward(a_, x).item() == pytest.approx(log_tail, rel=1e-11, abs=1e-12 + slack.item())


@given(a=shapes, share=st.floats(0.2, 5.0))
def test_tails_sum_to_one_and_fall(a, share):
    a_ = torch.tensor(a, dtype=DOUBLE)
    x = a_ * share * torch.tensor([1.0, 1.001], dtype=DOUBLE)
    lower, upper = log_gammainc(a_, x), log_gammaincc(a_, x)
    torch.testing.assert_close(lower.exp() + upper.exp(), torch.ones(2, dtype=DOUBLE), atol=1e-13, rtol=0)
    assert lower[1] >= lower[0]
    assert upper[1] <= upper[0]


def test_float32_is_the_rounded_float64_in_high_dimension():
    a = torch.tensor(5e4)
    x = a + a.sqrt() * torch.linspace(-6, 6, 101)
    exact = log_gammaincc(a.double(), x.double())
    assert log_gammaincc(a, x).dtype == torch.float32
    torch.testing.assert_close(log_gammaincc(a, x), exact.float(), rtol=0, atol=0)


def test_edges():
    a = torch.tensor(2.0, dtype=DOUBLE)
    x = torch.tensor([0.0, math.inf, -1.0], dtype=DOUBLE, requires_grad=True)
    lower, upper = log_gammainc(a, x), log_gammaincc(a, x)
    assert lower[0] == -math.inf
    assert lower[1] == 0
    assert upper[0] == 0
    assert upper[1] == -math.inf
    assert lower[2].isnan()
    (lower[:2].exp() + upper[:2].exp()).sum().backward()
    assert x.grad is not None
    assert x.grad[:2].isfinite().all()
    assert gammaincinv(a, torch.tensor([0.0, 1.0])).tolist() == [0.0, math.inf]
    assert gammainccinv(a, torch.tensor([0.0, 1.0])).tolist() == [math.inf, 0.0]
    assert log_gammainc(a, torch.zeros(0)).shape == (0,)
    assert log_gammainc(torch.ones(3, 1), torch.ones(2)).shape == (3, 2)
    assert log_gammaincc(5, torch.ones(2)).dtype == torch.float32


def test_works_under_vmap():
    x = torch.linspace(0.5, 4, 5, dtype=DOUBLE)
    expected = log_gammaincc(2.0, x)
    torch.testing.assert_close(torch.vmap(lambda v: log_gammaincc(2.0, v))(x), expected)


@given(z=st.floats(-150, 8))
def test_log_ndtri_undoes_log_ndtr(z):
    log_p = torch.special.log_ndtr(torch.tensor(z, dtype=DOUBLE))
    with mpmath.workdps(40):
        exact = log_p.item() if z < 0 else float(mpmath.log(mpmath.ncdf(z)))
    condition = 1 / max(math.exp(-z * z / 2 - 0.919), 1e-300) if z > 0 else 1.0
    assert log_ndtri(torch.tensor(exact, dtype=DOUBLE)).item() == pytest.approx(
        z, rel=1e-11, abs=3e-16 * condition + 1e-12
    )


def test_log_ndtri_edges_and_gradients():
    assert log_ndtri(torch.tensor([-math.inf, 0.0, 0.5])).tolist()[:2] == [-math.inf, math.inf]
    assert log_ndtri(torch.tensor(0.5)).isnan()
    log_p = torch.tensor([-900.0, -3.0, -0.7, -1e-3], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(log_ndtri, (log_p,))
    assert torch.autograd.gradgradcheck(log_ndtri, (log_p,))


@given(x=st.floats(-700, -1e-300))
def test_log1mexp_matches_mpmath(x):
    with mpmath.workdps(350):
        expected = float(mpmath.log1p(-mpmath.exp(x)))
    assert log1mexp(torch.tensor(x, dtype=DOUBLE)).item() == pytest.approx(expected, rel=1e-14)
