"""Rational-quadratic splines and Moebius mixtures: bijections of the interval and the circle, with exact inverses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.flows import MoebiusMixture, RationalQuadratic

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def splines(seed, circular, bins, dtype, size=64, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    raw = scale * torch.randn(size, 3 * bins + (not circular), generator=generator, dtype=torch.float64)
    x = torch.rand(size, generator=generator, dtype=torch.float64)
    return raw.to(dtype), x.to(dtype)


@given(
    seed=st.integers(0, 2**31),
    circular=st.booleans(),
    bins=st.sampled_from([2, 3, 8, 40]),
    dtype=st.sampled_from(list(TOLERANCE)),
)
def test_inverse_of_spline(seed, circular, bins, dtype):
    raw, x = splines(seed, circular, bins, dtype, scale=1.0)
    spline = RationalQuadratic(raw, circular=circular)
    y, log_slope = spline(x)
    assert y.dtype == log_slope.dtype == dtype
    assert (y - 0.5).abs().max() <= 0.5
    # Where the spline is flat, rounding of y moves x by as much as the slope is small.
    assert ((spline.inverse(y) - x).abs() * log_slope.exp().clamp_max(1)).max() < TOLERANCE[dtype] / 10


@pytest.mark.parametrize("circular", [False, True])
def test_log_slope_is_the_derivative(circular):
    raw, x = splines(0, circular, 5, torch.float64)
    x.requires_grad_()
    y, log_slope = RationalQuadratic(raw, circular=circular)(x)
    torch.testing.assert_close(log_slope.exp(), torch.autograd.grad(y.sum(), x)[0])


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_ends_keep_relative_accuracy(dtype):
    """Next to either end, in units of the distance from it; float32 against float64."""
    raw, _ = splines(1, False, 6, dtype)
    small = torch.logspace(-30, -3, 64, dtype=dtype)
    spline, exact = RationalQuadratic(raw), RationalQuadratic(raw.double())
    close = {"rtol": 2e-5 if dtype == torch.float32 else 1e-12, "atol": 0}
    for swap in (False, True):
        ends = (1 - small, small) if swap else (small, 1 - small)
        reference = exact.from_ends(*(e.double() for e in ends))
        y, rest, *ratios, slope = spline.from_ends(*ends)
        near = rest if swap else y
        torch.testing.assert_close(near.double(), reference[1 if swap else 0], **close)
        back = spline.inverse_from_ends(y, rest)
        torch.testing.assert_close(back[1 if swap else 0], small, **close)
        for ratio, known, inverse in zip(ratios, reference[2:4], back[2:4]):
            torch.testing.assert_close(ratio.double(), known, rtol=1e-4, atol=0)
            torch.testing.assert_close(inverse * ratio, torch.ones_like(ratio), rtol=1e-4, atol=0)
        torch.testing.assert_close(ratios[swap], near / small, rtol=1e-4, atol=0)
        torch.testing.assert_close(slope, ratios[swap].log(), rtol=1, atol=1)  # the same limit at the end itself
    at_end = spline.from_ends(torch.zeros(64, dtype=dtype), torch.ones(64, dtype=dtype))
    torch.testing.assert_close(at_end[2].log(), at_end[4], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(at_end[3], torch.ones_like(at_end[3]), rtol=1e-4, atol=0)


def test_circular_spline_is_smooth_across_the_ends():
    raw, _ = splines(2, True, 6, torch.float64)
    spline = RationalQuadratic(raw, circular=True)
    torch.testing.assert_close(spline(torch.zeros(64).double())[1], spline(torch.ones(64).double())[1])


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_zeros_give_the_identity(circular, dtype):
    x = torch.linspace(0, 1, 101, dtype=dtype)
    y, log_slope = RationalQuadratic(torch.zeros(101, 3 * 7 + (not circular), dtype=dtype), circular=circular)(x)
    torch.testing.assert_close(y, x, rtol=0, atol=TOLERANCE[dtype] / 10)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("circular", [False, True])
def test_gradients_are_finite_at_knots_and_ends(circular):
    raw, _ = splines(3, circular, 4, torch.float32, size=1, scale=30.0)
    raw.requires_grad_()
    spline = RationalQuadratic(raw, circular=circular)
    x = torch.cat([torch.zeros(1), spline.knots.detach()[0, 0], torch.tensor([1.0, 1e-40])]).requires_grad_()
    y, log_slope = spline(x)
    x_again = spline.inverse(y)
    for out in (y, log_slope, x_again):
        for gradient in torch.autograd.grad(out.sum(), [raw, x], retain_graph=True):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("circular", [False, True])
def test_gradcheck_of_splines(circular):
    raw, x = splines(4, circular, 2, torch.float64, size=2, scale=1.0)
    raw.requires_grad_()
    x.requires_grad_()

    def both(raw, x):
        spline = RationalQuadratic(raw, circular=circular)
        parts = (*spline(x), spline.inverse(x), *spline.from_ends(x, 1 - x), *spline.inverse_from_ends(x, 1 - x))
        return sum((i + 1) * part for i, part in enumerate(parts))

    assert torch.autograd.gradcheck(both, (raw, x))
    assert torch.autograd.gradgradcheck(both, (raw, x))


def mixtures(seed, dtype, size=64, m=5):
    generator = torch.Generator().manual_seed(seed)
    raw = 2 * torch.randn(size, 3 * m, generator=generator, dtype=torch.float64)
    x = math.pi * (2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1)
    return raw.to(dtype), x.to(dtype)


@given(seed=st.integers(0, 2**31), dtype=st.sampled_from(list(TOLERANCE)))
def test_inverse_of_moebius_mixture(seed, dtype):
    raw, x = mixtures(seed, dtype)
    mixture = MoebiusMixture(raw)
    y, log_slope = mixture(x)
    assert y.dtype == log_slope.dtype == dtype
    assert ((mixture.inverse(y) - x).abs() * log_slope.exp().clamp_max(1)).max() < TOLERANCE[dtype]


def test_moebius_map_of_one_centre():
    """Equation 8 of arXiv 2002.02428 and its slope, by complex numbers, up to a rotation."""
    raw, x = mixtures(5, torch.float64, m=1)
    mixture = MoebiusMixture(raw)
    centre = torch.complex(mixture.real, mixture.imag)[:, 0]
    y, log_slope = mixture(x)

    def published(x):
        z = torch.polar(torch.ones_like(x), x)
        return (1 - centre.abs() ** 2) / (z - centre).abs() ** 2 * (z - centre) - centre

    turned = torch.polar(torch.ones_like(x), y) / published(x)
    elsewhere = torch.polar(torch.ones_like(x), mixture(x + 1.0)[0]) / published(x + 1.0)
    torch.testing.assert_close(turned, elsewhere)
    z = torch.polar(torch.ones_like(x), x)
    torch.testing.assert_close(log_slope.exp(), (1 - centre.abs() ** 2) / (z - centre).abs() ** 2)


def test_moebius_mixture_covers_the_circle_once():
    raw, _ = mixtures(6, torch.float64, size=1)
    y = MoebiusMixture(raw)(torch.linspace(-math.pi, math.pi, 1001, dtype=torch.float64))[0]
    assert (y.diff() > 0).all()
    assert y[-1] - y[0] == pytest.approx(2 * math.pi, abs=1e-12)


def test_gradcheck_of_moebius_mixtures():
    raw, x = mixtures(7, torch.float64, size=2, m=2)
    raw.requires_grad_()
    x.requires_grad_()

    def both(raw, x):
        mixture = MoebiusMixture(raw)
        return *mixture(x), mixture.inverse(x)

    assert torch.autograd.gradcheck(both, (raw, x))
    assert torch.autograd.gradgradcheck(both, (raw, x))
    zero = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(MoebiusMixture(zero)(torch.ones(1).double())[0].sum(), zero)[0]
    assert gradient.isfinite().all()
    assert gradient[0, 2:4].abs().min() > 0  # the moduli can move away from the identity
