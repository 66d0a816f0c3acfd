"""One step of EM by hand for every kind of law, the numbers of parameters, criteria, starts and ends."""

import math

import pytest
import torch
from torch.distributions import Categorical

from manifoldflow.distributions import (
    AngularCentralGaussian,
    Dirichlet,
    Mixture,
    VonMisesFisher,
    Watson,
    WrappedNormal,
    fit_mixture,
)
from manifoldflow.distributions.mixtures import em
from manifoldflow.distributions.mixtures.families import family_of
from manifoldflow.manifolds import Hypersphere, Torus

F64 = torch.float64


def cases():
    """A first guess of each kind, points that it does not fit well, and further options."""
    torch.manual_seed(0)
    unit = torch.nn.functional.normalize
    loc = torch.eye(3, dtype=F64)[:2]
    on_sphere = unit(torch.randn(30, 3, dtype=F64) + torch.tensor([1.0, 0.5, 0]), dim=-1)
    kappa = torch.tensor([2.0, 5.0], dtype=F64)
    covariance = torch.stack([torch.diag(torch.tensor(d, dtype=F64)) for d in ([3.0, 2, 1], [1.0, 1, 4])])
    shares = torch.distributions.Dirichlet(torch.tensor([2.0, 3, 4], dtype=F64)).sample((30,))
    yield VonMisesFisher(loc, kappa), on_sphere, {}
    yield Watson(loc, kappa), on_sphere, {}
    yield AngularCentralGaussian(covariance), on_sphere, {}
    yield Dirichlet(torch.tensor([[1.0, 2, 3], [4.0, 2, 2]], dtype=F64)), shares, {}
    yield WrappedNormal(Hypersphere(2), loc, torch.tensor([0.5, 0.8], dtype=F64)), on_sphere, {"space": Hypersphere(2)}


CASES = pytest.mark.parametrize("case", list(cases()), ids=lambda c: type(c[0]).__name__)


def one_step(case, weights=None):
    law, points, options = case
    first = Mixture(Categorical(torch.tensor([0.3, 0.7], dtype=F64)), law)
    found = fit_mixture(type(law), points, 2, start_from=first, iterations=1, weights=weights, **options)
    return first, found, points


@CASES
def test_one_step_is_what_em_says(case):
    torch.manual_seed(1)
    weights = torch.rand(30, dtype=F64) + 0.5
    first, found, points = one_step(case, weights)
    joint = first.component_distribution.log_prob(points[:, None]) + torch.tensor([0.3, 0.7], dtype=F64).log()
    shares = weights[:, None] / weights.sum() * joint.softmax(-1)
    torch.testing.assert_close(found.weights, shares.sum(0))
    torch.testing.assert_close(first.responsibilities(points), joint.softmax(-1))
    law, k = found.component_distribution, range(2)
    if isinstance(law, WrappedNormal):  # one step along the mean tangent vector, the scale by what is left
        metric, loc = law.space.metric, first.component_distribution.loc
        logs = metric.log(points[:, None], loc)
        mean = (shares[..., None] * logs).sum(0) / shares.sum(0)[:, None]
        torch.testing.assert_close(law.loc, metric.exp(mean, loc))
        square = (shares * metric.squared_norm(logs, loc)).sum(0) / shares.sum(0) - metric.squared_norm(mean, loc)
        torch.testing.assert_close(law.scale, (square / 2).sqrt())
    elif isinstance(law, AngularCentralGaussian):  # one step of Tyler's fixed point
        for j in k:
            inverse = torch.linalg.inv(first.component_distribution.covariance[j])
            heavy = shares[:, j] / torch.einsum("bi,ij,bj->b", points, inverse, points)
            wanted = torch.einsum("b,bi,bj->ij", heavy, points, points)
            torch.testing.assert_close(law.covariance[j] / law.covariance[j].trace(), wanted / wanted.trace())
    else:  # a maximum: the law's own fit to the weighted points
        for j in k:
            alone = type(law).fit(points, shares[:, j])
            logs = type(law).log_prob(alone, points)
            torch.testing.assert_close(law.log_prob(points[:, None])[:, j], logs, atol=1e-6, rtol=1e-6)


@CASES
def test_numbers_of_parameters(case):
    _, found, _ = one_step(case)
    each = {
        VonMisesFisher: 3,  # a direction and a number
        Watson: 3,
        AngularCentralGaussian: 5,  # six entries but for a factor
        Dirichlet: 3,
        WrappedNormal: 3,
    }[type(found.component_distribution)]
    assert found.fitting.parameters == 2 * each + 1
    assert Mixture(found.mixture_distribution, found.component_distribution)._parameters() == 2 * each + 1


def test_criteria_by_their_formulas():
    case = next(cases())
    _, found, points = one_step(case)
    logs, count = found.log_prob(points), found.fitting.parameters
    assert found.aic(points) == pytest.approx(2 * count - 2 * float(logs.sum()))
    assert found.bic(points) == pytest.approx(count * math.log(30) - 2 * float(logs.sum()))
    repeats = torch.arange(30) % 3
    many = points.repeat_interleave(repeats, 0)
    assert found.bic(points, repeats) == pytest.approx(found.bic(many))
    assert found.aic(points, repeats) == pytest.approx(found.aic(many))


def test_how_a_fit_ends():
    torch.manual_seed(0)
    points = next(cases())[1]
    for iterations in (1, 3):
        found = fit_mixture(VonMisesFisher, points, 2, iterations=iterations, tolerance=0.0, starts=1)
        assert found.fitting.iterations == iterations
        assert not found.fitting.converged
        torch.testing.assert_close(torch.tensor(found.fitting.log_likelihood).double(), found.log_prob(points).mean())
    loose, tight = (fit_mixture(VonMisesFisher, points, 2, tolerance=t, starts=1) for t in (1e-2, 1e-7))
    assert loose.fitting.converged
    assert loose.fitting.iterations < tight.fitting.iterations
    for wrong in ({"starts": 0}, {"iterations": 0}, {"tolerance": -1.0}, {"most": 0.0}, {"components": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
            fit_mixture(**{"kind": VonMisesFisher, "points": points, "components": 2, **wrong})
    with pytest.warns(UserWarning, match="met the bound"):  # as many components as points are allowed
        fit_mixture(VonMisesFisher, points[:2], 2, most=100.0)
    with pytest.raises(ValueError, match="concentration: expected 'free'"):
        fit_mixture(Dirichlet, torch.full((4, 2), 0.5, dtype=F64), 2, concentration="tied")
    with pytest.raises(ValueError, match="start_from: expected a mixture of Watson, got one of VonMisesFisher"):
        fit_mixture(Watson, points, 2, start_from=found)


def test_a_component_that_has_died_out_is_given_the_least_probable_points():
    north = VonMisesFisher(torch.tensor([0.0, 0, 1], dtype=F64), 50.0)
    torch.manual_seed(0)
    points = torch.cat([north.sample((90,)), -north.sample((10,))])
    away = VonMisesFisher(torch.tensor([[0.0, 0, 1], [1.0, 0, 0]], dtype=F64), torch.tensor([30.0, 1e4], dtype=F64))
    start = Mixture(Categorical(torch.tensor([0.5, 0.5], dtype=F64)), away)
    found = fit_mixture(VonMisesFisher, points, 2, start_from=start)
    torch.testing.assert_close(found.weights, torch.tensor([0.9, 0.1], dtype=F64), atol=1e-3, rtol=0)
    assert found.component_distribution.loc[1, 2] < -0.99


@pytest.mark.parametrize("blocks", [1, 50, 1 << 20])
def test_blocks_of_points_change_nothing(blocks, monkeypatch):
    torch.manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(200, 40) + torch.eye(40)[torch.arange(200) % 3] * 4, dim=-1)
    whole = fit_mixture(VonMisesFisher, points, 3, starts=2)
    monkeypatch.setattr(em, "_BLOCK", blocks)
    monkeypatch.setattr(em, "_COPIED", blocks)
    torch.manual_seed(0)
    torch.nn.functional.normalize(torch.randn(200, 40), dim=-1)
    parts = fit_mixture(VonMisesFisher, points, 3, starts=2)
    assert parts.fitting.log_likelihood == pytest.approx(whole.fitting.log_likelihood, abs=1e-4)


def test_k_means_starts_find_separate_clusters():
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0], [3.1, 0], [0, 3.1], [1.5, -1.5]], dtype=F64)
    points = WrappedNormal(Torus(2), centres, 0.05).sample((25,)).flatten(0, 1)
    family = family_of(WrappedNormal, space=Torus(2))
    laws, logits = em.start_laws(family, em.Points(points, torch.full((100,), 0.01, dtype=F64)), 4, 6)
    torch.testing.assert_close(logits, torch.full((6, 4), math.log(0.25), dtype=F64))
    far = Torus(2).metric.dist(laws.loc[:, :, None], centres)
    assert (far.amin(1) < 0.1).all()  # each start has found every cluster
    torch.testing.assert_close(laws.scale, torch.full((6, 4), 0.05, dtype=F64), atol=0.02, rtol=0)


def test_fits_by_default():
    """Five starts, a relative gain of 1e-7, and concentrations up to a million."""
    points = next(cases())[1]
    seen = []
    torch.manual_seed(0)
    found = fit_mixture(VonMisesFisher, points, 2, report=lambda i, value: seen.append((i, value)))
    assert [i for i, _ in seen] == list(range(len(seen)))
    assert seen[0][1].shape == (5,)
    torch.manual_seed(0)
    same = fit_mixture(VonMisesFisher, points, 2, starts=5, iterations=300, tolerance=1e-7)
    assert same.fitting == found.fitting
    with pytest.warns(UserWarning, match=r"most=1e\+06"):
        copies = fit_mixture(VonMisesFisher, points[:1].repeat(5, 1), 1)
    assert copies.component_distribution.concentration.item() == 1e6
    assert copies.fitting.at_bound
    assert not found.fitting.at_bound
