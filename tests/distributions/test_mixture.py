"""Mixtures: published fits, recovery of known ones, every kind of law, bounds and refusals."""

import math
import resource

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import adjusted_rand_score
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
from manifoldflow.manifolds import Hypersphere, Product, Simplex, Torus

from .strategies import FALSE_ALARM

# Expenditure on housing, food and services of 20 women and 20 men (R's HSAUR3::household).
HOUSEHOLD = torch.tensor(
    [
        (820, 114, 154),
        (184, 74, 20),
        (921, 66, 455),
        (488, 80, 115),
        (721, 83, 104),
        (614, 55, 193),
        (801, 56, 214),
        (396, 59, 80),
        (864, 65, 352),
        (845, 64, 414),
        (404, 97, 47),
        (781, 47, 452),
        (457, 103, 108),
        (1029, 71, 189),
        (1047, 90, 298),
        (552, 91, 158),
        (718, 104, 304),
        (495, 114, 74),
        (382, 77, 147),
        (1090, 59, 177),
        (497, 591, 291),
        (839, 942, 365),
        (798, 1308, 584),
        (892, 842, 395),
        (1585, 781, 1740),
        (755, 764, 438),
        (388, 655, 233),
        (617, 879, 719),
        (248, 438, 65),
        (1641, 440, 2063),
        (1180, 1243, 813),
        (619, 684, 204),
        (253, 422, 48),
        (661, 739, 188),
        (1981, 869, 1032),
        (1746, 746, 1594),
        (1865, 915, 1767),
        (238, 522, 75),
        (1199, 1095, 344),
        (1524, 964, 1410),
    ],
    dtype=torch.float64,
)
POINTS = HOUSEHOLD / HOUSEHOLD.norm(dim=-1, keepdim=True)
UNIFORM = 2 * len(POINTS) * math.log(4 * math.pi)  # movMF's likelihood is relative to the uniform law


def relative_bic(mixture):
    return mixture.bic(POINTS) - UNIFORM


def test_two_components_of_the_household_data_are_as_published():
    """K. Hornik and B. Gruen, J. Statistical Software 58(10), 2014, table 1."""
    mixture = fit_mixture(VonMisesFisher, POINTS, 2, tolerance=1e-12)
    law, order = mixture.component_distribution, mixture.component_distribution.concentration.argsort(descending=True)
    assert np.allclose(mixture.weights[order], [0.47, 0.53], atol=0.005)
    assert np.allclose(law.loc[order], [[0.95, 0.13, 0.27], [0.67, 0.63, 0.40]], atol=0.005)
    assert np.allclose(law.concentration[order], [114.7, 17.96], atol=0.05)


def test_three_components_of_the_household_data_are_as_published():
    mixture = fit_mixture(VonMisesFisher, POINTS, 3, starts=20, tolerance=1e-12)
    law, order = mixture.component_distribution, mixture.component_distribution.concentration.argsort()
    assert np.allclose(mixture.weights[order], [0.35, 0.52, 0.13], atol=0.005)
    expected = [[0.59, 0.76, 0.28], [0.95, 0.15, 0.27], [0.67, 0.31, 0.68]]
    assert np.allclose(law.loc[order], expected, atol=0.005)
    assert np.allclose(law.concentration[order], [62.91, 83.26, 181.21], atol=0.05)


def test_four_components_are_no_worse_than_the_published_local_optimum():
    mixture = fit_mixture(VonMisesFisher, POINTS, 4, starts=20, tolerance=1e-10)
    assert relative_bic(mixture) <= -206.9498 + 0.02


def test_axial_mixtures_of_the_household_data_are_no_worse_than_published():
    """Four components printed by R's package watson are a local optimum."""
    mixture = fit_mixture(Watson, POINTS, 4, starts=10, tolerance=1e-8)
    assert relative_bic(mixture) <= -147.1691 + 0.02


def test_one_component_is_the_fit_of_the_law_itself():
    for kind in (VonMisesFisher, Watson, AngularCentralGaussian):
        alone = kind.fit(POINTS)
        mixture = fit_mixture(kind, POINTS, 1, starts=1, iterations=1000, tolerance=1e-14)
        assert torch.allclose(mixture.log_prob(POINTS), alone.log_prob(POINTS), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_six_components_in_forty_dimensions_are_recovered(dtype):
    loc = torch.nn.functional.normalize(torch.randn(6, 40, dtype=dtype), dim=-1)
    labels = torch.randint(6, (1200,))
    points = VonMisesFisher(loc[labels], torch.full((1200,), 50.0, dtype=dtype)).sample()
    mixture = fit_mixture(VonMisesFisher, points, 6)
    assert mixture.weights.dtype == dtype
    assert adjusted_rand_score(labels, mixture.responsibilities(points).argmax(-1)) >= 0.97
    nearest = (mixture.component_distribution.loc @ loc.mT).amax(-1)
    assert (nearest > 0.99).all()


def known_mixtures():
    """A mixture of each kind with separate components, and the options of its fit."""
    yield VonMisesFisher(torch.eye(3).double(), torch.tensor([20.0, 40, 80]).double()), {}
    yield Watson(torch.eye(3).double(), torch.tensor([20.0, 40, 80]).double()), {}
    axes = torch.eye(3).double()
    yield AngularCentralGaussian(torch.eye(3).double() + 60 * axes[:, :, None] * axes[:, None]), {}
    yield Dirichlet(torch.tensor([[2.0, 3, 40], [30, 4, 1], [5, 50, 5]]).double()), {}
    width = torch.tensor([0.1, 0.2, 0.3]).double()
    for space in (Hypersphere(2), Torus(2), Product([Hypersphere(1)] * 2), Simplex(2, metric="aitchison")):
        generator = torch.Generator().manual_seed(5)
        loc = space.random_point(3, dtype=torch.float64, generator=generator)
        yield WrappedNormal(space, loc, width), {"space": space}


@pytest.mark.parametrize(("law", "options"), list(known_mixtures()), ids=lambda v: type(v).__name__)
def test_a_fit_is_at_least_as_probable_as_the_truth_and_draws_like_it(law, options):
    true = Mixture(Categorical(torch.tensor([0.2, 0.3, 0.5]).double()), law)
    points = true.sample((1500,))
    found = fit_mixture(type(law), points, 3, **options)
    assert found.log_prob(points).mean() >= true.log_prob(points).mean() - 0.002
    assert found.fitting.converged
    assert found.fitting.log_likelihood == pytest.approx(float(found.log_prob(points).mean()), abs=1e-4)
    # The law of the log density of draws is that of the points.
    drawn = true.log_prob(found.sample((1500,)))
    assert stats.ks_2samp(drawn, true.log_prob(points)).pvalue > FALSE_ALARM


def test_log_prob_is_that_of_the_plain_sum_at_any_concentration():
    law = VonMisesFisher(torch.eye(4).double(), torch.tensor([0.0, 1, 1e4, 1e7]).double())
    mixture = Mixture(Categorical(torch.tensor([0.4, 0.3, 0.2, 0.1]).double()), law)
    points = mixture.sample((50,))
    plain = (law.log_prob(points[:, None]) + mixture.weights.log()).logsumexp(-1)
    assert torch.allclose(mixture.log_prob(points), plain, rtol=0, atol=1e-7)


def test_log_prob_has_derivatives_of_second_order():
    law = VonMisesFisher(torch.eye(3).double(), torch.tensor([1.0, 10, 100]).double())
    mixture = Mixture(Categorical(torch.ones(3).double()), law, validate_args=False)
    points = torch.nn.functional.normalize(torch.randn(4, 3).double(), dim=-1).requires_grad_()
    assert torch.autograd.gradcheck(mixture.log_prob, points)
    assert torch.autograd.gradgradcheck(mixture.log_prob, points)


@pytest.mark.parametrize("kind", [VonMisesFisher, Watson])
def test_tied_components_share_one_concentration(kind):
    tied = fit_mixture(kind, POINTS, 2, concentration="tied")
    free = fit_mixture(kind, POINTS, 2)
    assert tied.component_distribution.concentration.unique().numel() == 1
    assert tied.fitting.parameters == free.fitting.parameters - 1
    assert tied.fitting.log_likelihood <= free.fitting.log_likelihood + 1e-6


def test_iterations_do_not_lower_the_likelihood():
    seen = []
    options = {"starts": 1, "tolerance": 1e-12, "report": lambda i, value: seen.append(float(value[0]))}
    fit_mixture(VonMisesFisher, POINTS, 3, **options)
    assert len(seen) > 3
    assert (np.diff(seen) > -1e-12).all()


def test_a_fit_goes_on_from_another():
    first = fit_mixture(VonMisesFisher, POINTS, 2, starts=1, iterations=2)
    then = fit_mixture(VonMisesFisher, POINTS, 2, start_from=first)
    assert then.fitting.log_likelihood >= first.fitting.log_likelihood
    assert fit_mixture(VonMisesFisher, POINTS, 2, start_from=then).fitting.iterations <= 2


def test_copies_meet_the_bound_and_say_so():
    fit_mixture(VonMisesFisher, POINTS, 2)
    with pytest.warns(UserWarning, match="met the bound"):
        mixture = fit_mixture(VonMisesFisher, POINTS[:2].repeat(10, 1), 2, most=1e5)
    assert (mixture.component_distribution.concentration == 1e5).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": Hypersphere}, "kind"),
        ({"components": 41}, "components"),
        ({"points": HOUSEHOLD}, "unit"),
        ({"weights": -torch.ones(40)}, "weights"),
        ({"concentration": "equal"}, "concentration"),
        ({"starts": 0}, "starts"),
    ],
)
def test_wrong_arguments_are_named(change, match):
    options = {"kind": VonMisesFisher, "points": POINTS, "components": 2}
    fit_mixture(**options)
    with pytest.raises(ValueError, match=match):
        fit_mixture(**(options | change))


@pytest.mark.slow
def test_embeddings_are_fitted_in_half_as_much_memory_again():
    points = torch.nn.functional.normalize(torch.randn(50_000, 1536), dim=-1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit_mixture(VonMisesFisher, points, 50, starts=1, iterations=2)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert extra <= 0.5 * points.numel() * 4


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_no_draws_have_a_shape_and_no_densities(shape):
    law = Mixture(Categorical(torch.ones(2)), VonMisesFisher(torch.eye(3)[:2], torch.ones(2)))
    draws = law.sample(shape)
    assert draws.shape == (*shape, 3)
    assert law.log_prob(draws).shape == shape
    assert law.responsibilities(draws).shape == (*shape, 2)
