"""The angle law: CDF in both tails against mpmath and closed forms, quantiles, the Gaussianised form, derivatives."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special as scipy_special
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow.distributions import VonMisesFisher, VonMisesFisherAngle
from manifoldflow.distributions.spherical.angle import angle_log_density, angle_slope, angle_tail, haversine_in_space

from ..strategies import direction


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def exact_tails(theta, kappa, n):
    """Probabilities below and above theta by mpmath quadrature, split finely around the mode."""
    with mpmath.workdps(30):
        m, k, theta = n - 2, mpmath.mpf(kappa), mpmath.mpf(theta)
        root = mpmath.sqrt(m * m + 4 * k * k)
        cosine = 2 * k / (m + root) if root else mpmath.mpf(0)
        mode = mpmath.acos(min(cosine, 1))
        curvature = k * cosine + (m / (1 - cosine**2) if m else 0)
        spread = 1 / mpmath.sqrt(curvature) if curvature else mpmath.mpf(1)

        def density(x):
            bend = k * (mpmath.cos(x) - cosine)
            return mpmath.exp(bend) * (mpmath.sin(x) / mpmath.sin(mode)) ** m if m else mpmath.exp(bend)

        cuts = [min(max(mode + j * spread, 0), mpmath.pi) for j in range(-16, 17)] + [mpmath.mpf(0), mpmath.pi]
        below = sorted({c for c in cuts if c < theta} | {theta})
        above = sorted({c for c in cuts if c > theta} | {theta})
        a, b = mpmath.quad(density, below), mpmath.quad(density, above)
        return a / (a + b), b / (a + b)


@pytest.mark.parametrize("n", [2, 3, 4, 100, 785])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 30.0])
def test_both_tails_match_mpmath(n, ratio):
    kappa = ratio * n
    law = VonMisesFisherAngle(f64(kappa)[0], n)
    for z in (-5.0, -1.0, 0.3, 2.0, 5.0):
        theta = law.from_normal(f64(z))
        below, above = exact_tails(theta.item(), kappa, n)
        assert law.log_cdf(theta).exp().item() == pytest.approx(float(below), rel=1e-11)
        assert law.log_survival(theta).exp().item() == pytest.approx(float(above), rel=1e-11)


@given(kappa=st.floats(0, 1e8), u=st.floats(1e-6, 0.999))
def test_closed_form_in_three_dimensions(kappa, u):
    law = VonMisesFisherAngle(f64(kappa), 3)
    theta = u * min(math.pi, 8 / math.sqrt(kappa + 1e-300))
    with mpmath.workdps(40):
        k, fall = mpmath.mpf(kappa), 1 - mpmath.cos(mpmath.mpf(theta))
        below = mpmath.expm1(-k * fall) / mpmath.expm1(-2 * k) if kappa else fall / 2
        above = mpmath.log1p(-below) if below < 1 else mpmath.ninf
        assert law.log_cdf(f64(theta)).item() == pytest.approx(float(mpmath.log(below)), rel=1e-11, abs=1e-13)
        assert law.log_survival(f64(theta)).item() == pytest.approx(float(above), rel=1e-11, abs=1e-13)


@given(n=st.integers(2, 3000), u=st.floats(0.001, 0.999))
def test_uniform_case_is_a_beta_law(n, u):
    law, theta = VonMisesFisherAngle(f64(0.0), n), math.pi * u
    half = (n - 1) / 2
    h = math.sin(theta / 2) ** 2
    below, above = scipy_special.betainc(half, half, h), scipy_special.betaincc(half, half, h)
    if min(below, above) > 1e-290:
        assert law.log_cdf(f64(theta)).item() == pytest.approx(math.log(below), rel=1e-10, abs=1e-10)
        assert law.log_survival(f64(theta)).item() == pytest.approx(math.log(above), rel=1e-10, abs=1e-10)


@given(n=st.integers(2, 4000), exponent=st.floats(-3, 8), z=st.floats(-12, 6))
def test_gaussianising_is_undone(n, exponent, z):
    law = VonMisesFisherAngle(f64(10.0**exponent), n)
    theta = law.from_normal(f64(z))
    assert 0 < theta.item() < math.pi
    # Towards pi an angle has the absolute precision of pi: near it the quantile is known to eps over its slope.
    slack = 4e-16 * (law.log_prob(theta) + 0.5 * z * z + 0.5 * math.log(2 * math.pi)).exp().item()
    assert law.to_normal(theta).item() == pytest.approx(z, rel=1e-10, abs=1e-10 + 4 * slack)


@pytest.mark.parametrize("n", [2, 3, 10, 785, 3073, 200_000])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e4])
def test_density_is_the_slope_of_the_cdf_and_integrates_to_one(n, ratio):
    law = VonMisesFisherAngle(f64(ratio * n)[0], n)
    theta = law.from_normal(torch.linspace(-6, 6, 41, dtype=torch.float64)).requires_grad_()
    (slope,) = torch.autograd.grad(law.cdf(theta).sum(), theta)
    torch.testing.assert_close(slope.log(), law.log_prob(theta).detach(), rtol=1e-7, atol=1e-7)
    total = law.log_cdf(theta).exp() + law.log_survival(theta).exp()
    torch.testing.assert_close(total.detach(), torch.ones(41, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 10, 785, 3073, 200_000])
@pytest.mark.parametrize("ratio", [1e-9, 1e-2, 1.0, 500.0])
def test_tails_integrated_on_their_own_add_up_to_one(n, ratio):
    # The two quadratures share no node, and both the normaliser of the law: nothing cancels if one is wrong.
    kappa = f64(ratio * n)
    theta = VonMisesFisherAngle(kappa, n).from_normal(f64(0.0))
    density = angle_log_density(theta, kappa, n).exp()
    total = sum(density * angle_tail(theta, kappa, n, torch.tensor([side]))[0] for side in (True, False))
    assert total.item() == pytest.approx(1, abs=1e-12 + 1e-15 * n)


@pytest.mark.parametrize("n", [2, 3, 10, 785])
def test_derivatives(n):
    kappa = f64(0.5 * n, 2.0 * n, 0.0).requires_grad_()
    theta = VonMisesFisherAngle(kappa.detach(), n).from_normal(f64(-1.2, 0.1, 1.7)).requires_grad_()
    z = f64(-1.2, 0.1, 1.7).requires_grad_()

    def to_normal(theta, kappa):
        return VonMisesFisherAngle(kappa.abs(), n, validate_args=False).to_normal(theta)

    def from_normal(z, kappa):
        return VonMisesFisherAngle(kappa.abs(), n, validate_args=False).from_normal(z)

    inner = kappa.detach()[:2].requires_grad_()
    for function, x in ((to_normal, theta), (from_normal, z)):
        x = x.detach()[:2].requires_grad_()
        assert gradcheck(function, (x, inner), eps=1e-5, atol=1e-7, rtol=1e-5)
        assert gradgradcheck(function, (x, inner), eps=1e-5, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosine_cdf_and_quantiles(n, dtype):
    law = VonMisesFisher(direction(n, dtype=dtype), 2.0 * n)
    p = torch.tensor([0.0, 1e-6, 0.01, 0.5, 0.99, 1.0], dtype=dtype)
    w = law.cosine_icdf(p)
    assert w.dtype == dtype
    assert (w.diff() > 0).all()
    assert w[[0, -1]].tolist() == [-1, 1]
    # On the circle the cosine loses half of the angle's digits at either end.
    exact = {"rtol": 1e-10, "atol": 1e-200} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-7}
    torch.testing.assert_close(law.cosine_cdf(w), p, **exact)
    q = law.angle.icdf(p)
    torch.testing.assert_close(law.angle.cdf(q), p, **exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_density_at_both_ends(n, dtype):
    ends = torch.tensor([0.0, math.pi], dtype=dtype, requires_grad=True)  # float32's pi lies above pi
    value = VonMisesFisherAngle(torch.tensor(3.0, dtype=dtype), n).log_prob(ends)
    assert not value.isnan().any()
    assert (value < -15).all() if n > 2 else value.isfinite().all()
    if n == 2:
        torch.testing.assert_close(value.diff(), torch.tensor([-6.0], dtype=dtype))
        (slopes,) = torch.autograd.grad(value.sum(), ends)
        assert slopes.isfinite().all()


@pytest.mark.parametrize("kappa", [0.0, 1e-200, 1e-9])
def test_the_median_of_a_uniform_circle(kappa):
    assert VonMisesFisherAngle(f64(kappa), 2).from_normal(f64(0.0)).item() == pytest.approx(math.pi / 2, rel=1e-9)


def test_cosine_cdf_beyond_the_ends():
    law = VonMisesFisher(direction(3), 5.0)
    p = law.cosine_cdf(f64(-2.0, -1.0, 1.0, 2.0, math.nan))
    assert p[:4].tolist() == [0, 0, 1, 1]
    assert p[4].isnan()


@pytest.mark.parametrize("n", [2, 3, 50])
def test_probabilities_at_the_ends_pass_finite_gradients(n):
    kappa = f64(3.0)[0].requires_grad_()
    w = f64(-1.0, 0.3, 1.0).requires_grad_()
    law = VonMisesFisher(direction(n), kappa)
    ends = f64(0.0, math.pi).requires_grad_()
    for value, x in ((law.cosine_cdf(w), w), (law.angle.cdf(ends), ends), (law.angle.log_cdf(ends)[1:], ends)):
        assert all(g.isfinite().all() for g in torch.autograd.grad(value.sum(), (x, kappa)))


def test_shapes_and_bad_input():
    law = VonMisesFisherAngle(torch.tensor([0.5, 3.0]), 5)
    assert law.sample((4,)).shape == (4, 2)
    assert law.expand((3, 2)).rsample().shape == (3, 2)
    assert law.log_prob(torch.rand(7, 1)).shape == (7, 2)
    assert law.to_normal(torch.zeros(0, 2)).shape == (0, 2)
    assert VonMisesFisherAngle(5, 3).sample().dtype == torch.float32  # a plain number, not an integer law
    for n in (1, 2.5, True):
        with pytest.raises(ValueError, match="ambient_dim"):
            VonMisesFisherAngle(1.0, n)
    with pytest.raises(ValueError, match="concentration: expected floating-point"):
        VonMisesFisherAngle(torch.tensor([5]), 3)
    with pytest.raises(ValueError, match="concentration"):
        VonMisesFisherAngle(-1.0, 3)
    with pytest.raises(ValueError, match="support"):
        law.log_prob(torch.tensor(-0.1))


@pytest.mark.parametrize("kappa", [0.1, 1.0, 50.0, 1e8])
def test_the_closed_quantile_in_space_has_the_implicit_derivative(kappa):
    torch.manual_seed(0)
    concentrations = torch.full((500,), kappa, dtype=torch.float64, requires_grad=True)
    h = haversine_in_space(concentrations, concentrations.shape)
    (found,) = torch.autograd.grad(h.sum(), concentrations)
    h = h.detach()
    theta = 2 * torch.atan2(h.sqrt(), (1 - h).sqrt())
    expected = 0.5 * theta.sin() * angle_slope(theta, concentrations.detach(), 3)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    assert haversine_in_space(torch.tensor([kappa, 1e-3]), torch.Size((2,))) is None
