"""Optimal transport and Cauchy combinations: values, closed forms against quadrature, refusals."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Cauchy, Independent, Laplace, MultivariateNormal, Normal, Uniform

from manifoldflow.distributions import Gaussian, VonMisesFisher
from manifoldflow.errors import CutLocusError
from manifoldflow.interpolation import CauchyLinear, Matched, OptimalTransport, SphericalCauchy

T = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)


def pair(n=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, generator=rng, dtype=torch.float64), torch.rand(n, generator=rng, dtype=torch.float64)


class Hidden(torch.distributions.Distribution):
    """A law whose name the library does not know, so that it must use quadrature."""

    def __init__(self, law):
        self.law = law
        super().__init__(law.batch_shape, law.event_shape, validate_args=False)

    @property
    def support(self):
        return self.law.support

    def cdf(self, value):
        return self.law.cdf(value)

    def icdf(self, value):
        return self.law.icdf(value)


@pytest.mark.parametrize(
    ("law", "atol"),
    [(Normal(1.0, 2.0), 1e-12), (Uniform(-1.0, 2.0, validate_args=False), 5e-4), (Cauchy(0.0, 1.0), 1.5e-3)],
)
def test_closed_forms_against_quadrature(law, atol):
    start, end = (law.icdf(p) for p in pair(500))
    closed, found = (OptimalTransport(base, start, end)(T) for base in (law, Hidden(law)))
    assert torch.allclose(law.cdf(found), law.cdf(closed), atol=atol)


def test_optimal_transport_value_against_scipy():
    """F^-1(F_t(y)) for the Laplace law, F_t by adaptive quadrature of a convolution."""
    law = stats.laplace()
    start, end, t = -0.7, 1.9, 0.35
    y = (1 - t) * start + t * end
    mixed = sum(
        integrate.quad(lambda x: law.pdf(x) * law.cdf((y - t * x) / (1 - t)), low, high, epsabs=1e-12)[0]
        for low, high in ((-40, 0), (0, y / t), (y / t, 40))
    )
    found = OptimalTransport(
        Laplace(torch.tensor(0.0).double(), 1.0), torch.tensor([start]).double(), torch.tensor([end]).double()
    )(torch.tensor([t], dtype=torch.float64))
    assert found.item() == pytest.approx(law.ppf(mixed), abs=2e-4)


def test_for_the_gaussian_transport_is_the_matched_path():
    base = Gaussian(torch.linspace(-1, 1, 6, dtype=torch.float64), torch.linspace(0.5, 2, 6, dtype=torch.float64))
    start, end = base.sample(), base.sample()
    assert torch.allclose(OptimalTransport(base, start, end)(T), Matched(base, start, end)(T))


def test_the_matched_gaussian_path_as_printed():
    """Equation 5 of arXiv 2408.08558, and any covariance."""
    loc = torch.randn(4, dtype=torch.float64)
    root = torch.randn(4, 4, dtype=torch.float64)
    base = MultivariateNormal(loc, root @ root.T + torch.eye(4, dtype=torch.float64))
    x0, x1 = base.sample(), base.sample()
    for t in T:
        w0, w1 = 1 - t, t
        alpha, beta = w0 + w1, w0**2 + w1**2
        wanted = (1 - alpha / beta.sqrt()) * loc + (w0 * x0 + w1 * x1) / beta.sqrt()
        assert torch.allclose(Matched(base, x0, x1)(t[None])[0], wanted)


def test_cauchy_path_as_printed():
    start, end = stats.norm.ppf(0.3), stats.norm.ppf(0.8)
    mixed = 0.6 * math.tan(math.pi * (0.3 - 0.5)) + 0.4 * math.tan(math.pi * (0.8 - 0.5))
    wanted = stats.norm.ppf(stats.cauchy.cdf(mixed))
    found = CauchyLinear(None, torch.tensor([start]), torch.tensor([end]))(torch.tensor([0.4], dtype=torch.float64))
    assert found.item() == pytest.approx(wanted, rel=1e-6)


def test_spherical_cauchy_as_printed():
    start, end = torch.randn(2, 7, dtype=torch.float64)
    t = 0.4
    norm = stats.chi(7)
    g = [1 / math.tan(math.pi * norm.sf(x.norm().item())) for x in (start, end)]
    radius = norm.ppf(stats.cauchy.cdf((1 - t) * g[0] + t * g[1]))
    chord = (1 - t) * start / start.norm() + t * end / end.norm()
    found = SphericalCauchy(start, end)(torch.tensor([t], dtype=torch.float64))[0]
    assert torch.allclose(found, radius * chord / chord.norm(), rtol=1e-6)


@pytest.mark.parametrize("kind", [OptimalTransport, CauchyLinear])
def test_bases_that_are_not_coordinates_are_refused(kind):
    base = VonMisesFisher(torch.tensor([1.0, 0.0, 0.0]), 2.0)
    with pytest.raises(ValueError, match="base: expected independent coordinates with cdf"):
        kind(base, torch.eye(3)[0], torch.eye(3)[1])


@pytest.mark.parametrize("kind", [OptimalTransport, CauchyLinear, Matched])
@pytest.mark.parametrize(
    "law",
    [
        lambda loc, scale: Independent(Laplace(loc, scale), 1),
        lambda loc, scale: Independent(torch.distributions.Normal(loc, scale), 1),
        Gaussian,
    ],
)
def test_a_batch_of_laws_gives_each_pair_its_own(kind, law):
    loc, scale = torch.randn(3, 2), torch.rand(3, 2) + 0.5
    start, end, t = torch.randn(3, 2), torch.randn(3, 2), torch.linspace(0, 1, 3)
    together = kind(law(loc, scale), start, end)(t)
    for i in range(3):
        assert torch.allclose(together[i], kind(law(loc[i], scale[i]), start[i], end[i])(t), atol=1e-5)


def test_matched_refuses_bases_without_a_lift():
    with pytest.raises(ValueError, match="no combination that preserves Beta is known"):
        Matched(torch.distributions.Beta(2.0, 3.0), torch.rand(3), torch.rand(3))
    with pytest.raises(ValueError, match="a batch of different Dirichlet"):
        Matched(
            torch.distributions.Dirichlet(torch.tensor([[1.0, 2], [3, 4]])),
            torch.full((2, 2), 0.5),
            torch.full((2, 2), 0.5),
        )


def test_opposite_directions():
    with pytest.raises(CutLocusError, match="spherical-cauchy has no unique great circle"):
        SphericalCauchy(torch.ones(4), -torch.ones(4))


@pytest.mark.filterwarnings("ignore:matched")
@pytest.mark.parametrize("length", [1e-3, 20.0, 1e3])
def test_points_far_off_the_base_give_finite_paths(length):
    start, end = torch.nn.functional.normalize(torch.randn(2, 64), dim=-1)
    t = torch.linspace(0, 1, 5)
    for path in (
        SphericalCauchy(8 * start, length * end),
        Matched(Independent(Laplace(torch.zeros(64), 1.0), 1), length * start, length * start),
    ):
        assert path(t).isfinite().all()
        assert path.velocity(t).isfinite().all()
