"""Fits: likelihood equations at any concentration, weights as repeats, batches, scipy, and refusals by name."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats

from manifoldflow.distributions import Dirichlet, Gaussian, PowerSpherical, VonMisesFisher, WrappedNormal
from manifoldflow.errors import OffManifoldError
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, frechet_mean, replace_zeros

from .strategies import direction

F64 = torch.float64
FITS = [
    (VonMisesFisher.fit, VonMisesFisher(direction(3), 5.0)),
    (PowerSpherical.fit, PowerSpherical(direction(4), 5.0)),
    (Dirichlet.fit, Dirichlet(torch.tensor([0.5, 2.0, 3.0], dtype=F64))),
    (Gaussian.fit, Gaussian(torch.zeros(2, dtype=F64), torch.tensor([1.0, 3.0], dtype=F64))),
    (WrappedNormal.fit, WrappedNormal(Hypersphere(1), direction(2), 0.7)),
    (WrappedNormal.fit, WrappedNormal(Hypersphere(3), direction(4), 0.2)),
]
every_fit = pytest.mark.parametrize(("fit", "law"), FITS, ids=lambda v: type(v).__name__)


def parameters(law):
    return [getattr(law, name) for name in law.arg_constraints]


@every_fit
def test_weights_are_repeats_and_batches_are_fitted_one_by_one(fit, law):
    torch.manual_seed(3)
    points = law.sample((2, 12))
    weights = torch.tensor([2.0] * 4 + [1.0] * 8)
    batch = fit(points, weights)
    assert batch.batch_shape == (2,)
    for i in range(2):
        one = fit(torch.cat([points[i], points[i, :4]]))
        for ours, theirs in zip(parameters(batch), parameters(one)):
            torch.testing.assert_close(ours[i], theirs, rtol=1e-7, atol=1e-7)
    single = fit(points.float(), weights)
    assert all(p.dtype == torch.float32 for p in parameters(single))
    assert single.log_prob(points.float().transpose(0, 1)).isfinite().all()


@every_fit
def test_what_cannot_be_fitted_is_refused_by_name(fit, law):
    points = law.sample((6,))
    fit(points)
    for bad, message in (
        (points.numpy(), "points: expected a tensor"),
        (points[0], "points: expected shape"),
        (points[:0], "points: expected shape"),
        (points.long(), "points: expected floating-point"),
        (points[:1].expand(6, -1), "coinciding points"),
        (torch.full_like(points, math.nan), "points: expected"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            fit(bad)
    for bad, message in (
        (torch.ones(4), "weights: expected a shape that broadcasts"),
        (torch.zeros(6), "weights: expected nonnegative finite"),
        (torch.tensor([1.0, 1, 1, 1, 1, -1]), "weights: expected nonnegative finite"),
        (torch.full((6,), math.nan), "weights: expected nonnegative finite"),
        ("x", "weights: expected a tensor of numbers"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            fit(points, bad)


@given(
    scale=st.floats(-2, 13).map(lambda e: 10.0**e),
    size=st.integers(2, 6),
    count=st.integers(3, 60),
    seed=st.integers(0, 999),
)
def test_dirichlet_solves_the_likelihood_equations(scale, size, count, seed):
    torch.manual_seed(seed)
    a = scale * (0.1 + torch.rand(size, dtype=F64))
    points = Dirichlet(a).sample((count,)).clamp(min=1e-250)
    points = points / points.sum(-1, keepdim=True)
    assume(bool(points.amin(0).amax() < 1 - 1e-9) or scale > 1)  # else float64 sees one corner only
    fitted = Dirichlet.fit(points).concentration
    expected = points.log().mean(0)
    found = fitted.digamma() - fitted.sum().digamma()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    if scale > 1e4:  # there the precision stands in the second moments: Var s_k = m_k (1 - m_k) / (A + 1)
        mean = fitted / fitted.sum()
        distance = ((points - points.mean(0)).square().mean(0) / mean).sum()
        assert fitted.sum().item() == pytest.approx((size - 1) / distance.item(), rel=100 / math.sqrt(scale))


def test_dirichlet_agrees_with_scipy():
    torch.manual_seed(0)
    points = Dirichlet(torch.tensor([0.4, 3.0, 1.5], dtype=F64)).sample((80,)).numpy()

    def loss(log_a):
        return -stats.dirichlet(np.exp(log_a)).logpdf(points.T).sum()

    found = np.exp(optimize.minimize(loss, np.zeros(3), tol=1e-12).x)
    ours = Dirichlet.fit(torch.from_numpy(points)).concentration
    torch.testing.assert_close(ours, torch.from_numpy(found), rtol=1e-5, atol=0)


def test_dirichlet_refuses_zeros_and_names_the_remedy():
    points = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.2, 0.7]])
    with pytest.raises(ValueError, match=r"got zeros.*replace_zeros\(points\)"):
        Dirichlet.fit(points)
    assert Dirichlet.fit(replace_zeros(points)).concentration.isfinite().all()
    with pytest.raises(ValueError, match="coordinates with sum 1"):
        Dirichlet.fit(2 * replace_zeros(points))


@pytest.mark.parametrize("n", [2, 3, 10, 300])
@pytest.mark.parametrize("kappa", [0.8, 5.0, 1e3, 1e9])
def test_power_spherical_is_a_maximum(n, kappa):
    torch.manual_seed(n)
    points = PowerSpherical(direction(n), kappa).sample((60,))
    fitted = PowerSpherical.fit(points)
    loc, factor = fitted.loc.clone().requires_grad_(), torch.ones((), dtype=F64, requires_grad=True)
    law = PowerSpherical(loc / loc.norm(), fitted.concentration * factor)
    slopes = torch.autograd.grad(law.log_prob(points).mean(), (loc, factor))
    assert slopes[0].norm() < 1e-9 * max(1.0, fitted.concentration.item() ** 0.5)
    assert abs(slopes[1].item()) < 1e-10 * n
    assert PowerSpherical.fit(torch.eye(3)).concentration.item() > 0


def test_power_spherical_of_balanced_points_is_uniform():
    axes = torch.cat([torch.eye(20), -torch.eye(20)])
    assert PowerSpherical.fit(axes).concentration.item() == 0


def test_wrapped_normal_on_the_circle_agrees_with_scipy():
    torch.manual_seed(1)
    points = WrappedNormal(Hypersphere(1), direction(2), 1.4).sample((70,))
    angle = torch.atan2(points[:, 1], points[:, 0]).numpy()
    turns = 2 * math.pi * np.arange(-12, 13)

    def loss(x):
        terms = stats.norm(x[0], math.exp(x[1])).pdf(angle[:, None] + turns)
        return -np.log(terms.sum(-1)).mean()

    start = math.atan2(np.sin(angle).mean(), np.cos(angle).mean())
    found = optimize.minimize(loss, [start, 0.0], tol=1e-12).x
    fitted = WrappedNormal.fit(points)
    assert fitted.scale.item() == pytest.approx(math.exp(found[1]), rel=1e-6)
    assert math.cos(found[0]) * fitted.loc[0] + math.sin(found[0]) * fitted.loc[1] > 1 - 1e-10


def test_wrapped_normal_in_flat_spaces_and_products():
    torch.manual_seed(2)
    x = torch.randn(50, 3, dtype=F64)
    fitted = WrappedNormal.fit(x, space=Euclidean(3))
    torch.testing.assert_close(fitted.loc, x.mean(0))
    torch.testing.assert_close(fitted.scale, (x - x.mean(0)).square().mean().sqrt())
    simplex = Simplex(2, metric="aitchison")
    s = x.softmax(-1)
    fitted = WrappedNormal.fit(s, space=simplex)
    torch.testing.assert_close(fitted.loc, s.log().mean(0).softmax(-1))
    space = Product([Hypersphere(1), simplex, Hypersphere(2)], weights=[2.0, 1.0, 3.0])
    loc = torch.cat([direction(2), torch.tensor([0.2, 0.3, 0.5], dtype=F64), direction(3)])
    points = WrappedNormal(space, loc, 0.2).sample((300,))
    fitted = WrappedNormal.fit(points, space=space)
    assert fitted.scale.item() == pytest.approx(0.2, rel=0.05)
    torch.testing.assert_close(fitted.loc[5:], frechet_mean(Hypersphere(2), points[:, 5:]))
    free = fitted.scale.clone().requires_grad_()
    likelihood = WrappedNormal(space, fitted.loc, free).log_prob(points).mean()
    assert abs(torch.autograd.grad(likelihood, free)[0].item()) < 1e-10
    with pytest.raises(OffManifoldError, match="points"):
        WrappedNormal.fit(2 * points, space=space)


def test_wrapped_normal_on_the_torus_is_that_of_its_circles():
    torch.manual_seed(5)
    angles = WrappedNormal(Torus(1), torch.tensor([3.0], dtype=F64), 0.9).sample((60,))
    circle = WrappedNormal.fit(torch.cat([angles.cos(), angles.sin()], -1))
    fitted = WrappedNormal.fit(angles, space=Torus(1))
    assert fitted.scale.item() == pytest.approx(circle.scale.item(), rel=1e-7)
    torch.testing.assert_close(torch.cat([fitted.loc.cos(), fitted.loc.sin()]), circle.loc)
    both = WrappedNormal.fit(torch.cat([angles, -angles], -1), space=Torus(2))
    assert both.scale.item() == pytest.approx(circle.scale.item(), rel=1e-7)


def test_gaussian_is_mean_and_deviation():
    x = torch.randn(4, 30, 5, dtype=F64) + 1e8
    fitted = Gaussian.fit(x)
    torch.testing.assert_close(fitted.loc, x.mean(-2))
    torch.testing.assert_close(fitted.scale, x.std(-2, correction=0))
    with pytest.raises(ValueError, match="points: expected finite numbers"):
        Gaussian.fit(torch.tensor([[1.0, math.inf], [0.0, 0.0]]))
