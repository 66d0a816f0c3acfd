"""Kernels: values against mpmath and scikit-learn, small lags, definiteness, refusals."""

import math

import mpmath
import pytest
import torch
from sklearn.gaussian_process import kernels as sk

from manifoldflow.interpolation import (
    ExponentialPower,
    GaussianProcessBridge,
    Matern,
    OrnsteinUhlenbeck,
    Periodic,
    SquaredExponential,
)

KERNELS = [
    OrnsteinUhlenbeck(1.3),
    ExponentialPower(0.5, 2.0),
    ExponentialPower(1.5),
    SquaredExponential(0.7),
    Matern(0.5, 0.8),
    Matern(1.5, 0.8),
    Matern(2.5),
    Matern(7.5, 2.0),
    Periodic(2.7, 0.9),
]


def name(kernel):
    return type(kernel).__name__ + "".join(f" {v:g}" for v in vars(kernel).values() if isinstance(v, float))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SquaredExponential(0.7), sk.RBF(0.7)),
        (Matern(0.5, 0.8), sk.Matern(0.8, nu=0.5)),
        (Matern(1.5, 0.8), sk.Matern(0.8, nu=1.5)),
        (Matern(2.5, 1.3), sk.Matern(1.3, nu=2.5)),
        (Matern(4.5, 1.3), sk.Matern(1.3, nu=4.5)),
        (Periodic(2.7, 0.9), sk.ExpSineSquared(0.9, 2.7)),
    ],
    ids=lambda kernel: name(kernel).split()[0],
)
def test_values_against_scikit_learn(ours, theirs):
    lag = torch.linspace(0, 6, 61, dtype=torch.float64)
    wanted = torch.from_numpy(theirs(lag[:, None].numpy(), [[0.0]])[:, 0])
    assert torch.allclose(ours(lag), wanted, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_the_variogram_keeps_small_lags(kernel):
    """1 - k to full relative accuracy, where subtracting would leave nothing."""
    lags = [1e-8, 1e-5, 1e-3, 0.1, 0.3, 2.0]
    found = kernel.variogram(torch.tensor(lags, dtype=torch.float64)).tolist()
    with mpmath.workdps(60):
        for lag, value in zip(lags, found):
            h = mpmath.mpf(lag)
            if isinstance(kernel, Matern):
                nu, x = mpmath.mpf(kernel.smoothness), mpmath.sqrt(2 * kernel.smoothness) * h / kernel.length_scale
                k = 2 ** (1 - nu) / mpmath.gamma(nu) * x**nu * mpmath.besselk(nu, x)
            elif isinstance(kernel, Periodic):
                k = mpmath.exp(
                    -2 / mpmath.mpf(kernel.length_scale) ** 2 * mpmath.sin(mpmath.pi * h / kernel.period) ** 2
                )
            else:
                k = mpmath.exp(-mpmath.mpf(kernel.rate) * h ** mpmath.mpf(kernel.alpha))
            assert value == pytest.approx(float(1 - k), rel=1e-11)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_positive_definite(kernel):
    t = torch.sort(4 * torch.rand(60, dtype=torch.float64)).values
    assert torch.linalg.eigvalsh(kernel(t[:, None] - t)).min() > -1e-12
    assert kernel(torch.zeros(1, dtype=torch.float64)).item() == 1
    assert kernel(torch.tensor([1e300], dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("alpha", [0.0, -1.0, 2.0001, 3.0, math.inf, math.nan])
def test_alpha_outside_the_range_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha: expected"):
        ExponentialPower(alpha)


def test_above_2_it_is_not_positive_definite():
    """What the refusal is for."""
    t = torch.linspace(0, 2, 30, dtype=torch.float64)
    assert torch.linalg.eigvalsh(torch.exp(-((t[:, None] - t).abs() ** 3))).min() < -1e-3


@pytest.mark.parametrize("turns", [1, 2, 7])
def test_a_whole_number_of_periods_is_refused(turns):
    with pytest.raises(ValueError, match="horizon: expected no multiple of the period"):
        GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=Periodic(0.7), horizon=turns * 0.7)
    GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=Periodic(0.7), horizon=(turns + 0.5) * 0.7)


def test_the_periodic_kernel_as_printed_is_refused():
    def printed(lag):
        return torch.exp(-2 * torch.sin(math.pi * lag.square() / 1.0).square())

    with pytest.raises(ValueError, match=r"kernel: expected a positive-definite function, but .* has the eigenvalue -"):
        GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=printed, horizon=1.7)


def test_a_user_s_kernel_is_used():
    cosine = GaussianProcessBridge(
        torch.zeros(2), torch.ones(2), kernel=lambda h: torch.exp(-h.abs()) * torch.cos(h), horizon=1.0
    )
    assert cosine.sample(torch.linspace(0, 1, 5), (3,)).isfinite().all()
    with pytest.raises(ValueError, match=r"kernel: expected k\(0\) = 1, got 2"):
        GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=lambda h: 2 * torch.exp(-h.abs()))
    with pytest.raises(ValueError, match="kernel: expected a Kernel or a function"):
        GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel="rbf")


@pytest.mark.parametrize("smoothness", [1.0, 0.3, 25.5, -0.5])
def test_matern_smoothness(smoothness):
    with pytest.raises(ValueError, match="smoothness: expected"):
        Matern(smoothness)


def test_kernels_of_unit_rate_and_scale():
    """The formulas of the docstrings, with every parameter left out."""
    h = torch.tensor([0.0, 0.3, 1.0, 2.0, 1e5], dtype=torch.float64)
    root = math.sqrt(3.0) * h
    for kernel, values in (
        (OrnsteinUhlenbeck(), (-h).exp()),
        (ExponentialPower(), (-h).exp()),
        (SquaredExponential(), (-0.5 * h * h).exp()),
        (Matern(), (1 + root) * (-root).exp()),
        (Periodic(2.0), (-2 * (math.pi * h / 2).sin() ** 2).exp()),
    ):
        torch.testing.assert_close(kernel(h), values, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(kernel(-h), kernel(h))


def test_the_ends_of_the_ranges_are_allowed():
    h = torch.tensor([0.1, 3.0], dtype=torch.float64)
    torch.testing.assert_close(ExponentialPower(2.0)(h), (-h * h).exp())
    assert Matern(19.5)(h).isfinite().all()
    with pytest.raises(ValueError, match="smoothness: expected"):
        Matern(20.5)
    for wrong in (0.0, math.inf, True, "1"):
        with pytest.raises(ValueError, match="rate: expected a positive finite number"):
            OrnsteinUhlenbeck(wrong)


def test_a_horizon_without_a_period_must_tell_the_ends_apart():
    with pytest.raises(ValueError, match="horizon: k"):
        GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=SquaredExponential(), horizon=1e-170)
    GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=Periodic(1.0), horizon=0.4)  # less than half a period
    near = Periodic(1.0)
    with pytest.raises(ValueError, match="no multiple of the period"):
        near.check_horizon(3 + 2.9e-6)
    near.check_horizon(3 + 3.1e-6)
