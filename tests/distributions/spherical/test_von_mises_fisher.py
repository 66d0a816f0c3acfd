"""von Mises-Fisher: density, moments, entropy and fit against mpmath, scipy, quadrature and calculus."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow import manifolds
from manifoldflow.charts import Stereographic
from manifoldflow.distributions import VonMisesFisher

from ..strategies import direction

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def exact_log_prob(loc, kappa, s):
    """-kappa |s - mu|^2 / 2 + kappa + log C at the given floats, 50 digits."""
    with mpmath.workdps(50):
        n, kappa = len(loc), mpmath.mpf(kappa)
        chord = mpmath.fsum((mpmath.mpf(a) - mpmath.mpf(b)) ** 2 for a, b in zip(loc.tolist(), s.tolist()))
        half = mpmath.mpf(n) / 2
        area = mpmath.log(2) + half * mpmath.log(mpmath.pi) - mpmath.loggamma(half)
        return kappa - kappa * chord / 2 - area - mpmath.log(mpmath.hyp0f1(half, kappa**2 / 4))


@given(
    n=st.integers(2, 300),
    exponent=st.floats(-3, 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
def test_log_prob_matches_mpmath(n, exponent, dtype, seed):
    loc, s = direction(n, dtype=dtype, seed=seed), direction(n, dtype=dtype, seed=seed + 1)
    kappa = torch.tensor(10.0**exponent, dtype=dtype)
    for point in (s, loc, -loc):
        exact = exact_log_prob(loc, kappa.item(), point)
        ours = VonMisesFisher(loc, kappa).log_prob(point)
        assert ours.dtype == dtype
        bound = 1e-14 if dtype == torch.float64 else 1e-6
        assert abs(ours.item() - exact) <= bound * max(1, abs(exact))


def test_log_prob_does_not_cancel_at_high_concentration():
    loc, kappa = direction(3073, dtype=torch.float32), 1e8
    law = VonMisesFisher(loc, kappa)
    s = law.sample()
    exact = VonMisesFisher(loc.double(), kappa, validate_args=False).log_prob(s.double())
    assert abs(law.log_prob(s).double() - exact) <= 1e-6 * exact.abs()


@pytest.mark.parametrize(("n", "kappa"), [(2, 0.7), (3, 5.0), (10, 30.0), (100, 80.0)])
def test_agrees_with_scipy(n, kappa):
    loc = direction(n)
    ours, scipys = VonMisesFisher(loc, kappa), stats.vonmises_fisher(loc.numpy(), kappa)
    s = ours.sample((5,))
    np.testing.assert_allclose(ours.log_prob(s), scipys.logpdf(s.numpy()), rtol=1e-12)
    assert ours.entropy().item() == pytest.approx(scipys.entropy(), rel=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 4.0, 50.0])
def test_normalises_on_the_circle_and_the_sphere(kappa):
    phase = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    circle = torch.stack([phase.cos(), phase.sin()], -1)
    mass = VonMisesFisher(direction(2), kappa).log_prob(circle).exp().mean() * 2 * math.pi
    assert mass.item() == pytest.approx(1, abs=1e-13)
    heights, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(200))
    ring = (1 - heights**2).sqrt()[:, None, None] * circle
    sphere = torch.cat([ring, heights[:, None, None].expand(200, 400, 1)], -1)
    mass = (weights[:, None] * VonMisesFisher(direction(3), kappa).log_prob(sphere).exp()).sum() * 2 * math.pi / 400
    assert mass.item() == pytest.approx(1, abs=1e-12)


def test_is_uniform_at_zero_concentration():
    law = VonMisesFisher(direction(5), 0.0)
    assert law.log_prob(direction(5, seed=9)).item() == pytest.approx(-math.log(8 * math.pi**2 / 3), rel=1e-15)
    assert law.mean.tolist() == [0] * 5
    torch.testing.assert_close(law.covariance_matrix, torch.eye(5, dtype=torch.float64) / 5)


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("kappa", [0.0, 1.5, 20.0])
def test_moments_match_samples(n, kappa):
    law = VonMisesFisher(direction(n), kappa)
    s = law.sample((40_000,))
    bound = 5 / math.sqrt(40_000)
    assert ((s.mean(0) - law.mean).abs() < bound).all()
    assert ((torch.cov(s.T) - law.covariance_matrix).abs() < bound).all()
    torch.testing.assert_close(law.variance, law.covariance_matrix.diagonal(), rtol=1e-13, atol=0)
    torch.testing.assert_close(law.stddev, law.variance.sqrt())
    assert law.mode is law.loc
    # |s| = 1: total variance and squared mean length add to one
    assert law.variance.sum().item() == pytest.approx(1 - law.mean_resultant_length.item() ** 2, rel=1e-13)


@dtypes
def test_batches(dtype):
    loc = torch.stack([direction(4, seed=i, dtype=dtype) for i in range(3)])
    law = VonMisesFisher(loc, torch.tensor([[0.0], [2.0]], dtype=dtype))
    assert law.batch_shape == (2, 3)
    assert law.event_shape == (4,)
    s = law.sample((5,))
    assert s.shape == (5, 2, 3, 4)
    assert s.dtype == dtype
    log_prob = law.log_prob(s)
    assert log_prob.shape == (5, 2, 3)
    torch.testing.assert_close(
        log_prob[:, 1, 2], VonMisesFisher(loc[2], torch.tensor(2.0, dtype=dtype)).log_prob(s[:, 1, 2])
    )
    for value in (law.entropy(), law.log_normalizer, law.mean_resultant_length, law.cosine_variance):
        assert value.shape == (2, 3)
        assert value.dtype == dtype
    assert law.mean.shape == law.variance.shape == (2, 3, 4)
    assert law.covariance_matrix.shape == (2, 3, 4, 4)
    bigger = law.expand((7, 2, 3))
    assert bigger.rsample((2,)).shape == (2, 7, 2, 3, 4)
    assert bigger.log_prob(s[:, None]).shape == (5, 7, 2, 3)
    assert VonMisesFisher(loc, 1.0).sample((0,)).shape == (0, 3, 4)
    assert VonMisesFisher(loc[:0], 1.0).sample((2,)).shape == (2, 0, 4)


@pytest.mark.parametrize("n", [2, 3, 30])
def test_log_prob_and_entropy_derivatives(n):
    loc, s = direction(n).requires_grad_(), direction(n, seed=5).requires_grad_()
    kappa = torch.tensor([0.3, 7.0, 60.0], dtype=torch.float64, requires_grad=True)

    def log_prob(loc, kappa, s):
        return VonMisesFisher(loc, kappa, validate_args=False).log_prob(s)

    assert gradcheck(log_prob, (loc, kappa, s))
    assert gradgradcheck(log_prob, (loc, kappa, s))
    assert gradcheck(lambda k: VonMisesFisher(loc.detach(), k).entropy(), kappa)
    assert gradgradcheck(lambda k: VonMisesFisher(loc.detach(), k).entropy(), kappa)


def test_knows_its_manifold_and_chart():
    law = VonMisesFisher(direction(4), 1.0)
    assert isinstance(law.manifold, manifolds.Hypersphere)
    assert law.manifold.dim == 3
    assert law.manifold.belongs(law.sample((9,))).all()
    assert law.default_chart() == Stereographic(3)


@pytest.mark.parametrize("n", [2, 3, 50, 785])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fit_is_the_maximum_of_the_likelihood(n, dtype):
    points = VonMisesFisher(direction(n, dtype=dtype), float(n)).sample((2, 60))
    weights = torch.rand(60, dtype=dtype)
    fitted = VonMisesFisher.fit(points, weights)
    assert fitted.batch_shape == (2,)
    assert fitted.loc.dtype == dtype
    angle = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # turns loc towards another direction
    factor = torch.ones(2, dtype=torch.float64, requires_grad=True)
    loc = fitted.loc.double()
    other = points[:, 0].double() - (points[:, 0].double() * loc).sum(-1, keepdim=True) * loc
    turned = angle.cos()[:, None] * loc + angle.sin()[:, None] * other / other.norm(dim=-1, keepdim=True)
    law = VonMisesFisher(turned, fitted.concentration.double() * factor, validate_args=False)
    likelihood = (weights.double() * law.log_prob(points.double().transpose(0, 1)).T).sum()
    slopes = torch.autograd.grad(likelihood, (angle, factor))
    tolerance = 1e-9 if dtype == torch.float64 else 1e-2
    assert all((slope.abs() < tolerance * n * weights.sum()).all() for slope in slopes)


def test_fit_with_weights_is_fit_with_repeats():
    points = VonMisesFisher(direction(5), 3.0).sample((4,))
    repeated = VonMisesFisher.fit(torch.cat([points, points[:1], points[:1]]))
    weighted = VonMisesFisher.fit(points, torch.tensor([3.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(repeated.loc, weighted.loc)
    torch.testing.assert_close(repeated.concentration, weighted.concentration)


def test_fit_of_balanced_points_is_uniform():
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert VonMisesFisher.fit(points).concentration.item() == 0


@dtypes
@pytest.mark.parametrize("n", [2, 3, 100])
def test_fit_at_high_concentration(n, dtype):
    # Half the points at an angle of +-1e-4: closer than float32 norms are to 1.
    loc, across = direction(n), direction(n, seed=5)
    across = across - (across @ loc) * loc
    angle = torch.tensor([1e-4, -1e-4], dtype=torch.float64)[:, None]
    points = (angle.cos() * loc + angle.sin() * across / across.norm()).to(dtype)
    fitted = VonMisesFisher.fit(points)
    # 1 - A = 1 - cos(1e-4), and A = 1 - (n - 1) / (2 kappa) to leading order
    expected = (n - 1) / 1e-8
    assert fitted.concentration.item() == pytest.approx(expected, rel=1e-2 if dtype == torch.float32 else 1e-6)
    assert (fitted.loc.double() - loc).norm() < 4 * torch.finfo(dtype).eps


def test_fit_refuses_points_and_weights_by_name():
    points = VonMisesFisher(direction(3), 5.0).sample((5,))
    for bad in (3 * points, 0.1 * points, torch.full((5, 3), math.nan)):
        with pytest.raises(ValueError, match="points: expected unit vectors"):
            VonMisesFisher.fit(bad)
    for shape in ((4,), (2, 5)):
        with pytest.raises(ValueError, match=r"weights: expected a shape that broadcasts to \(5,\), got"):
            VonMisesFisher.fit(points, torch.ones(shape))
    assert VonMisesFisher.fit(points.new_zeros(0, 5, 3)).batch_shape == (0,)


def test_fit_refuses_what_has_no_maximum():
    with pytest.raises(ValueError, match="points: expected at least two different directions"):
        VonMisesFisher.fit(direction(4).expand(3, 4))
    with pytest.raises(ValueError, match=r"points: expected shape"):
        VonMisesFisher.fit(direction(4))
    with pytest.raises(ValueError, match="weights: expected nonnegative"):
        VonMisesFisher.fit(torch.eye(3), torch.tensor([1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="weights: expected nonnegative"):
        VonMisesFisher.fit(torch.eye(3), torch.zeros(3))


def exact_fit(points):
    """Mean direction and 1 - R of unit vectors at the given floats, 60 digits, and for n = 2 the concentration."""
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(v) for v in row] for row in points.tolist()]
        rows = [[v / mpmath.sqrt(mpmath.fsum(u * u for u in row)) for v in row] for row in rows]
        mean = [mpmath.fsum(column) / len(rows) for column in zip(*rows)]
        length = mpmath.sqrt(mpmath.fsum(v * v for v in mean))
        # 1 - A = (n - 1)/(2 kappa) + O(kappa^-2), whose relative size is below 1e-9 from kappa = 1e9 on
        return [v / length for v in mean], (len(mean) - 1) / (2 * (1 - length))


@pytest.mark.parametrize("spread", [1e-5, 1e-7, 1e-8, 1e-10])
@pytest.mark.parametrize("n", [2, 3, 20])
def test_fit_does_not_cancel_at_high_concentration(n, spread):
    generator = torch.Generator().manual_seed(n)
    offset = spread * torch.randn(200, n - 1, dtype=torch.float64, generator=generator)
    points = torch.cat([torch.ones(200, 1, dtype=torch.float64), offset], -1)  # the mean is not an axis of the frame
    points = points / points.norm(dim=-1, keepdim=True)
    loc, kappa = exact_fit(points)
    fitted = VonMisesFisher.fit(points)
    assert fitted.concentration.item() == pytest.approx(float(kappa), rel=1e-6 if spread < 1e-6 else 1e-9)
    torch.testing.assert_close(fitted.loc, torch.tensor([float(v) for v in loc], dtype=torch.float64))


@pytest.mark.parametrize("spread", [1e-7, 1e-8])
def test_fit_of_close_angles_is_the_inverse_variance(spread):
    angle = spread * torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fitted = VonMisesFisher.fit(torch.stack([angle.cos(), angle.sin()], -1))
    assert fitted.concentration.item() == pytest.approx(1 / angle.var(correction=0).item(), rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 50, 785])
@pytest.mark.parametrize("kappa", [0.01, 1.0, 40.0, 1e4])
def test_fit_solves_the_likelihood_equation(n, kappa):
    points = VonMisesFisher(direction(n), kappa).sample((30,))
    fitted = VonMisesFisher.fit(points)
    assert fitted.mean_resultant_length.item() == pytest.approx(points.mean(0).norm().item(), abs=1e-13)
    assert (fitted.mean - points.mean(0)).abs().max() < 1e-13
