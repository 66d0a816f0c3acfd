"""Reparameterised gradients are unbiased: within three standard errors of the exact derivative of a mean."""

import pytest
import torch
from torch.autograd import gradcheck

from manifoldflow.distributions import Dirichlet, PowerSpherical, VonMisesFisher, WrappedNormal
from manifoldflow.manifolds import Hypersphere
from manifoldflow.special import vmf_mean_length_derivative

from .strategies import assert_mean, direction


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100, 785])
@pytest.mark.parametrize("ratio", [0.4, 3.0])
def test_concentration(n, ratio):
    # One concentration a draw, so that the derivative of each draw is seen.
    kappa = torch.full((5000,), ratio * n, dtype=torch.float64, requires_grad=True)
    loc = direction(n)
    cosine = (VonMisesFisher(loc, kappa).rsample() * loc).sum(-1)
    (slopes,) = torch.autograd.grad(cosine.sum(), kappa)
    assert_mean(slopes, vmf_mean_length_derivative(kappa[0].detach(), n))


@pytest.mark.parametrize("kind", ["north", "south", "random"])
@pytest.mark.parametrize("n", [2, 3, 5, 10, 100])
@pytest.mark.parametrize("law", [VonMisesFisher, PowerSpherical])
def test_location(n, law, kind):
    # E[(a.s)^2] = |a|^2 v + (V + A^2 - v)(a.mu)^2, with A, V, v the mean and variances along and across mu
    loc = direction(n, kind).expand(8000, n).clone().requires_grad_()
    p = law(loc, 1.7 * n)
    a = direction(n, seed=8)
    (slopes,) = torch.autograd.grad(((p.rsample() * a).sum(-1) ** 2).sum(), loc)
    mu = loc[0].detach()
    one = law(mu, 1.7 * n)
    factor = one.cosine_variance + one.mean_resultant_length**2 - one.transverse_variance
    expected = 2 * factor * (a @ mu) * (a - (a @ mu) * mu)
    assert ((slopes * mu).sum(-1).abs() < 1e-13 * (1 + slopes.norm(dim=-1))).all()  # tangent
    along = expected / expected.norm()
    assert_mean(slopes @ along, expected.norm())


@pytest.mark.parametrize("n", [2, 3, 10])
def test_power_spherical_concentration(n):
    kappa = torch.full((20_000,), 2.0 * n, dtype=torch.float64, requires_grad=True)
    loc = direction(n)
    cosine = (PowerSpherical(loc, kappa).rsample() * loc).sum(-1)
    (slopes,) = torch.autograd.grad(cosine.sum(), kappa)
    one = kappa[:1].detach().requires_grad_()
    (expected,) = torch.autograd.grad(PowerSpherical(loc, one).mean_resultant_length.sum(), one)
    assert_mean(slopes, expected[0])


def test_wrapped_normal_scale():
    # on the circle E[cos theta] = exp(-sigma^2 / 2)
    sigma = torch.full((20_000,), 0.8, dtype=torch.float64, requires_grad=True)
    loc = direction(2)
    cosine = (WrappedNormal(Hypersphere(1), loc, sigma).rsample() * loc).sum(-1)
    (slopes,) = torch.autograd.grad(cosine.sum(), sigma)
    assert_mean(slopes, -0.8 * torch.exp(torch.tensor(-0.32, dtype=torch.float64)))


@pytest.mark.parametrize("a", [0.01, 0.5, 3.0, 1e3])
def test_dirichlet(a):
    # E[log s_1] = digamma(a_1) - digamma(sum a)
    concentration = torch.full((20_000, 3), a, dtype=torch.float64, requires_grad=True)
    log_s = Dirichlet(concentration).rsample_log()
    (slopes,) = torch.autograd.grad(log_s[:, 0].sum(), concentration)
    trigamma = torch.polygamma(1, torch.tensor([a, 3 * a], dtype=torch.float64))
    assert_mean(slopes[:, 0], trigamma[0] - trigamma[1])
    assert_mean(slopes[:, 1], -trigamma[1])


@pytest.mark.parametrize("n", [2, 3, 10, 785])
def test_draws_move_along_their_quantiles(n):
    """The exact statement behind the averages: each draw keeps its quantile as the concentration moves."""
    kappa = torch.tensor([0.2, 1.0, 8.0], dtype=torch.float64) * n
    z = torch.tensor([-2.5, 0.2, 1.5], dtype=torch.float64)

    def quantile(kappa):
        return VonMisesFisher(direction(n), kappa, validate_args=False).angle.from_normal(z)

    assert gradcheck(quantile, kappa.requires_grad_(), eps=1e-5, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_second_derivatives_are_finite_and_right(n):
    # d^2 E[mu.s] / d kappa^2 = A''
    kappa = torch.full((4000,), 2.0 * n, dtype=torch.float64, requires_grad=True)
    loc = direction(n)
    cosine = (VonMisesFisher(loc, kappa).rsample() * loc).sum(-1)
    (slopes,) = torch.autograd.grad(cosine.sum(), kappa, create_graph=True)
    (bends,) = torch.autograd.grad(slopes.sum(), kappa)
    one = kappa[:1].detach().requires_grad_()
    (expected,) = torch.autograd.grad(vmf_mean_length_derivative(one, n).sum(), one)
    assert_mean(bends, expected[0])


def test_gradients_at_zero_concentration_are_finite():
    for n in (2, 3, 10):
        kappa = torch.zeros(100, requires_grad=True)
        s = VonMisesFisher(direction(n, dtype=torch.float32), kappa).rsample()
        (slopes,) = torch.autograd.grad(s.sum(), kappa)
        assert slopes.isfinite().all()
        assert slopes.abs().max() > 0
