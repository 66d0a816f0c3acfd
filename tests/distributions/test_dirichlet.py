"""Dirichlet in log space: values, normalisation, sampling and gradients where coordinates underflow."""

import pytest
import torch
from scipy import special as scipy_special
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow import manifolds
from manifoldflow.charts import AdditiveLogRatio
from manifoldflow.distributions import Dirichlet

from .strategies import assert_uniform


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_torch(dtype):
    a = torch.tensor([[0.3, 2.0, 5.0], [1.0, 1.0, 1.0]], dtype=dtype)
    ours, torchs = Dirichlet(a), torch.distributions.Dirichlet(a)
    s = torchs.sample((4,))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(ours.log_prob(s), torchs.log_prob(s), **tolerance)
    torch.testing.assert_close(ours.log_prob_log(s.log()), torchs.log_prob(s), **tolerance)
    torch.testing.assert_close(ours.entropy(), torchs.entropy(), **tolerance)
    torch.testing.assert_close(ours.mean, torchs.mean, **tolerance)
    torch.testing.assert_close(ours.variance, torchs.variance, **tolerance)
    assert ours.log_prob(s).dtype == ours.entropy().dtype == dtype


@pytest.mark.parametrize("a", [1e-2, 1.0, 1e4])
def test_float32_at_12288_coordinates(a):
    concentration = torch.full((12_288,), a).requires_grad_()
    law = Dirichlet(concentration)
    log_s = law.rsample_log((2,))
    for value in (log_s, law.log_prob_log(log_s.detach()), law.entropy()):
        (gradient,) = torch.autograd.grad(value.sum(), concentration, retain_graph=True)
        assert value.isfinite().all()
        assert value.dtype == torch.float32
        assert gradient.isfinite().all()
    exact = Dirichlet(concentration.detach().double())
    torch.testing.assert_close(law.entropy().double(), exact.entropy(), rtol=1e-6, atol=0)
    expected = exact.log_prob_log(log_s.double())
    torch.testing.assert_close(law.log_prob_log(log_s).double(), expected, rtol=1e-6, atol=0)
    assert (log_s.double().logsumexp(-1).abs() < 1e-4).all()


@pytest.mark.parametrize("a", [1e-3, 1e-2, 0.5, 2.0, 1e4])
def test_samples(a):
    first, rest = a, 4 * a
    log_s = Dirichlet(torch.full((5,), a, dtype=torch.float64)).sample_log((4000,))
    x = log_s[:, 0].numpy()
    if a < 0.1:
        # Below e^-600 the beta law's CDF is its leading power, to all digits.
        leading = first * x - scipy_special.betaln(first, rest) - scipy_special.xlogy(1, first)
        import numpy as np

        p = np.where(x < -600, np.exp(leading), scipy_special.betainc(first, rest, np.exp(x)))
        p = torch.from_numpy(p)
        # A draw that is 1 up to rounding has no digits to test in s; there its complement is compared.
        spread = torch.from_numpy(log_s[:, 1:].logsumexp(-1).numpy())
        beta = scipy_special.betainc(rest, first, spread.exp().numpy())
        tiny = np.where(
            spread < -600, np.exp(rest * spread.numpy() - scipy_special.betaln(rest, first) - np.log(rest)), beta
        )
        assert_uniform(torch.where(log_s[:, 0] > -0.1, 1 - torch.from_numpy(tiny), p))
    else:
        assert_uniform(torch.from_numpy(scipy_special.betainc(first, rest, log_s[:, 0].exp().numpy())))


def test_sampler_does_not_fall_back_to_uniform_draws():
    # torch's sampler returns exactly (1/3, 1/3, 1/3) when all three gammas underflow.
    log_s = Dirichlet(torch.full((3,), 1e-3)).sample_log((2000,))
    assert (log_s.exp().amax(-1) > 0.5).double().mean() > 0.99
    assert log_s.isfinite().all()


def test_samples_satisfy_the_support():
    law = Dirichlet(torch.full((12_289,), 0.7))
    assert law.support.check(law.sample((20,))).all()
    assert law.log_prob(law.sample((2,))).shape == (2,)


def test_boundary():
    law = Dirichlet(torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
    corner = torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]], dtype=torch.float64)
    value = law.log_prob(corner)
    assert value[0].isfinite()  # exponent 0
    assert value[1:].tolist() == [-torch.inf, torch.inf]


def test_derivatives():
    a = torch.tensor([0.3, 2.0, 5.0], dtype=torch.float64, requires_grad=True)
    log_s = torch.log(torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)).requires_grad_()
    assert gradcheck(lambda a, x: Dirichlet(a).log_prob_log(x), (a, log_s))
    assert gradgradcheck(lambda a, x: Dirichlet(a).log_prob_log(x), (a, log_s))
    assert gradcheck(lambda a: Dirichlet(a).entropy(), a)


def test_shapes_and_manifold():
    law = Dirichlet(torch.ones(2, 3))
    assert law.rsample((4,)).shape == (4, 2, 3)
    assert law.expand((5, 2)).log_prob(law.sample()).shape == (5, 2)
    assert law.sample((0,)).shape == (0, 2, 3)
    assert isinstance(law.manifold, manifolds.Simplex)
    assert law.manifold.dim == 2
    assert law.default_chart() == AdditiveLogRatio(2)
