"""The law of chart coordinates: normalised on R^d by quadrature, stable where coordinates vanish."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import TransformedDistribution, constraints

from manifoldflow.charts import AdditiveLogRatio, Identity, IsometricLogRatio, Stereographic, StickBreaking
from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.manifolds import Hypersphere, Simplex

from .strategies import direction

SIMPLEX_CHARTS = (AdditiveLogRatio, IsometricLogRatio, StickBreaking)


def on_sphere(dim):
    n = dim + 1
    return [
        InChart(VonMisesFisher(direction(n, "south"), 2.0 * dim)),
        InChart(VonMisesFisher(direction(n), 0.0)),
        InChart(VonMisesFisher(direction(n), 3.0), Stereographic(dim, scale=0.4)),
        InChart(VonMisesFisher(direction(n), 3.0), Stereographic(dim, scale=1.5, learnable=True)),
        InChart(PowerSpherical(direction(n, "south"), 2.0)),
        InChart(SphericalUniform(dim)),
        InChart(WrappedNormal(Hypersphere(dim), direction(n, "south"), 0.5)),
    ]


def on_simplex(dim):
    a = torch.tensor([0.8, 2.0, 3.5][: dim + 1], dtype=torch.float64)
    centre = torch.full((dim + 1,), 1 / (dim + 1), dtype=torch.float64)
    laws = [InChart(Dirichlet(a), chart(dim)) for chart in SIMPLEX_CHARTS]
    return [*laws, InChart(WrappedNormal(Simplex(dim, metric="aitchison"), centre, 0.7))]


def substituted(count):
    """Gauss-Legendre nodes on R under z = sinh(x), which tames algebraic and exponential tails alike."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(count))
    return torch.sinh(24 * x), 24 * w * torch.cosh(24 * x)


@pytest.mark.parametrize("law", on_sphere(1) + on_simplex(1), ids=lambda law: f"{type(law.base).__name__}-{law.chart}")
def test_normalises_on_the_line(law):
    z, weight = substituted(1000)
    mass = (weight * law.log_prob(z[:, None]).exp()).sum()
    assert mass.item() == pytest.approx(1, abs=1e-4 if "Wrapped" in type(law.base).__name__ else 1e-8)


@pytest.mark.parametrize("law", on_sphere(2) + on_simplex(2), ids=lambda law: f"{type(law.base).__name__}-{law.chart}")
def test_normalises_on_the_plane(law):
    # polar coordinates: the stereographic tail 1/|z|^4 is a function of the radius
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(300))
    radius, weight = torch.exp(9 * x - 1), 9 * w * torch.exp(9 * x - 1)
    phase = torch.arange(360, dtype=torch.float64) * (2 * math.pi / 360)
    z = radius[:, None, None] * torch.stack([phase.cos(), phase.sin()], -1)
    mass = (weight[:, None] * radius[:, None] * law.log_prob(z).exp()).sum() * (2 * math.pi / 360)
    assert mass.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("law", on_sphere(4) + on_simplex(2), ids=lambda law: f"{type(law.base).__name__}-{law.chart}")
def test_is_the_transformed_distribution(law):
    z = law.sample((6,)).double()
    other = TransformedDistribution(law.base, [law.chart.inv], validate_args=False)
    torch.testing.assert_close(law.log_prob(z), other.log_prob(z).detach(), rtol=1e-9, atol=1e-9)
    assert law.event_shape == other.event_shape == (law.chart.dim,)
    assert law.support is constraints.real_vector
    assert law.manifold.dim == law.chart.dim
    assert law.expand((3,)).sample((2,)).shape == (2, 3, law.chart.dim)
    assert law.rsample((0,)).shape == (0, law.chart.dim)


@pytest.mark.parametrize("chart", SIMPLEX_CHARTS)
@pytest.mark.parametrize("a", [1e-2, 2.0, 1e4])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_float32_dirichlet_at_12287(chart, a, scale):
    dim = 12_287
    law = InChart(Dirichlet(torch.full((dim + 1,), a)), chart(dim))
    z = (scale * torch.randn(2, dim)).requires_grad_()
    log_prob = law.log_prob(z)
    (gradient,) = torch.autograd.grad(log_prob.sum(), z)
    assert gradient.isfinite().all()
    exact = InChart(Dirichlet(torch.full((dim + 1,), a, dtype=torch.float64)), chart(dim))
    torch.testing.assert_close(log_prob.double(), exact.log_prob(z.double()), rtol=1e-6, atol=0)


@pytest.mark.parametrize("chart", SIMPLEX_CHARTS)
def test_draws_from_float32_dirichlet_are_finite_where_coordinates_underflow(chart):
    law = InChart(Dirichlet(torch.full((12_288,), 1e-2)), chart(12_287))
    z = law.sample((2,))
    assert z.isfinite().all()
    assert law.log_prob(z).isfinite().all()
    assert (chart(12_287)(z) == 0).any()  # in s they have vanished


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_float32_von_mises_fisher_at_12287(scale):
    dim = 12_287
    law = InChart(VonMisesFisher(direction(dim + 1, "south", torch.float32), float(dim)))
    z = (scale * torch.randn(2, dim)).requires_grad_()
    log_prob = law.log_prob(z)
    (gradient,) = torch.autograd.grad(log_prob.sum(), z)
    assert gradient.isfinite().all()
    exact = InChart(VonMisesFisher(direction(dim + 1, "south"), float(dim)))
    torch.testing.assert_close(log_prob.double(), exact.log_prob(z.double()), rtol=2e-6, atol=0)


def test_gaussian_is_its_own_law_in_the_identity_chart():
    law = InChart(Gaussian(torch.zeros(3), torch.tensor([1.0, 2.0, 0.5])))
    z = torch.randn(5, 3)
    torch.testing.assert_close(law.log_prob(z), law.base.log_prob(z))
    expected = torch.distributions.Normal(0.0, torch.tensor([1.0, 2.0, 0.5])).log_prob(z).sum(-1)
    torch.testing.assert_close(law.log_prob(z), expected)


def test_learnable_scale_gets_a_gradient():
    chart = Stereographic(3, learnable=True)
    law = InChart(VonMisesFisher(direction(4, "south", torch.float32), 5.0), chart)
    law.log_prob(torch.randn(6, 3)).sum().backward()
    assert chart.log_scale.grad.abs() > 0


def test_refuses_a_chart_of_another_space():
    with pytest.raises(ValueError, match=r"chart: expected points of shape \(4,\)"):
        InChart(VonMisesFisher(direction(4), 1.0), Stereographic(4))
    # as many coordinates, but of another manifold
    for base, chart in (
        (Dirichlet(torch.ones(3)), Stereographic(2)),
        (Dirichlet(torch.ones(3)), Identity(3)),
        (VonMisesFisher(direction(3), 1.0), AdditiveLogRatio(2)),
        (Gaussian(torch.zeros(3)), Stereographic(2)),
        (WrappedNormal(Hypersphere(2), direction(3), 1.0), StickBreaking(2)),
    ):
        with pytest.raises(ValueError, match="chart: expected points on "):
            InChart(base, chart)
