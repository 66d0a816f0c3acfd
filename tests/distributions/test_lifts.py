"""Lifts: they take draws to independent standard normal coordinates and uniform directions, and back.

With a fixed seed every test is decided once and for all; a threshold of 1e-4 on each p-value would raise a false alarm
for about one in a hundred choices of the seed.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal

from manifoldflow.distributions import (
    AngularCentralGaussian,
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
    law_of,
)
from manifoldflow.distributions.spherical.angle_laws import PowerSphericalAngle, WrappedNormalAngle
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex

ALARM = 1e-4


def mean(n):
    return torch.nn.functional.normalize(torch.arange(1.0, n + 1, dtype=torch.float64), dim=0)


LIFTED = {
    "gaussian": lambda: Gaussian(torch.randn(4).double(), 2.0),
    "multivariate": lambda: MultivariateNormal(torch.zeros(2).double(), torch.tensor([[2.0, 1], [1, 2]]).double()),
    "laplace": lambda: Independent(Laplace(torch.zeros(3).double(), torch.ones(3).double()), 1),
    "dirichlet": lambda: Dirichlet(torch.tensor([0.7, 2.0, 5.0], dtype=torch.float64)),
    "uniform": lambda: SphericalUniform(3, dtype=torch.float64),
    **{f"vmf-{n}": lambda n=n: VonMisesFisher(mean(n), 3.0) for n in (2, 3, 6)},
    "angular gaussian": lambda: AngularCentralGaussian(torch.diag(torch.tensor([1.0, 4.0, 0.3], dtype=torch.float64))),
    "in chart": lambda: InChart(VonMisesFisher(mean(3), 3.0)),
    **{
        f"power-{n}-{kappa}": lambda n=n, kappa=kappa: PowerSpherical(mean(n), kappa)
        for n in (2, 3, 10)
        for kappa in (0.0, 1.5, 300.0)
    },
    **{
        f"wrapped-{n}-{scale}": lambda n=n, scale=scale: WrappedNormal(Hypersphere(n - 1), mean(n), scale)
        for n in (2, 3, 10)
        for scale in (0.01, 0.7, 4.0)
    },
    "wrapped-flat": lambda: WrappedNormal(Euclidean(3), mean(3), 0.5),
    "wrapped-simplex": lambda: WrappedNormal(
        Simplex(2, metric="aitchison"), torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), 0.7
    ),
}


@pytest.mark.parametrize("name", LIFTED)
def test_points_come_back(name):
    base = LIFTED[name]()
    points = base.sample((50,))
    lift = law_of(base).lift
    assert torch.allclose(lift.decode(*lift.encode(points, None)), points, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in LIFTED if name.startswith(("power", "wrapped"))])
def test_draws_become_standard_normal_and_uniform(name):
    base = LIFTED[name]()
    normal, direction = law_of(base).lift.encode(base.sample((1500,)), None)
    if name == "wrapped-flat":  # a Gaussian is only shifted
        normal = normal / base.scale
    if name == "wrapped-simplex":
        normal = (normal @ torch.tensor([[1.0, -1, 0], [1, 1, -2]]).double().T) / torch.tensor([2.0, 6.0]).sqrt() / 0.7
    for column in normal.unbind(-1):
        assert stats.kstest(column, stats.norm.cdf).pvalue > ALARM
    if direction is not None:
        n = base.event_shape[-1] - 1  # squares of the coordinates of a uniform direction in n dimensions are Beta
        assert torch.allclose(direction @ base.loc, torch.zeros(1500).double(), atol=1e-12)
        across = torch.eye(n + 1, dtype=torch.float64)[0] - base.loc[0] * base.loc
        cosine = direction @ (across / across.norm())
        assert stats.kstest((1 + cosine) / 2, stats.beta((n - 1) / 2, (n - 1) / 2).cdf).pvalue > ALARM


ANGLES = [
    *[PowerSphericalAngle(torch.tensor(kappa), n) for kappa in (0.0, 2.0, 1e3) for n in (2, 3, 40)],
    *[WrappedNormalAngle(torch.tensor(scale), n) for scale in (0.02, 0.8, 6.0) for n in (2, 3, 40)],
]


@pytest.mark.parametrize("law", ANGLES, ids=lambda law: f"{type(law).__name__}-{float(law.parameter)}-{law.n}")
def test_angle_laws(law):
    """The density integrates to the tails, quantiles invert, and the derivative of a quantile is 1 / density."""
    z = torch.tensor([-6.0, -2.0, 0.0, 0.5, 6.0], dtype=torch.float64, requires_grad=True)
    theta = law.from_normal(z)
    assert ((theta > 0) & (theta < math.pi)).all()
    # Near pi neighbouring numbers are wide apart in the quantile.
    coarse = 1e-15 * torch.exp(law.log_density(theta) + 0.5 * z**2) * 50
    assert ((law.to_normal(theta) - z).abs() < 1e-9 + coarse).all()
    (slope,) = torch.autograd.grad(theta.sum(), z)
    wanted = torch.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - law.log_density(theta))
    assert torch.allclose(slope, wanted, rtol=1e-6, atol=1e-15)

    ends = law.from_normal(torch.tensor([-8.0, -3.0, 0.0, 3.0, 8.0]).double()).detach()
    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(200))
    middle, half = (ends[1:] + ends[:-1])[:, None] / 2, ends.diff()[:, None] / 2
    parts = (half * weights * law.log_density(middle + half * nodes).exp()).sum(-1).tolist()
    exact = [stats.norm.cdf(b) - stats.norm.cdf(a) for a, b in ((-8, -3), (-3, 0), (0, 3), (3, 8))]
    assert parts == pytest.approx(exact, rel=1e-7)


def test_what_has_no_lift_says_so():
    base = WrappedNormal(Product([Hypersphere(2), Euclidean(2)]), torch.tensor([0.0, 0, 1, 0, 0]), 0.5)
    assert law_of(base).lift is None
    assert law_of(WrappedNormal(Hypersphere(2), torch.tensor([0.0, 0, 1]), 1e4)).lift is None
    assert law_of(Independent(Normal(torch.zeros(2), 1.0), 1)).lift is not None
    with pytest.raises(TypeError, match="base: expected a distribution, a list of them or None"):
        law_of("gaussian")
