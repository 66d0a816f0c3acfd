"""Test priors: densities against torch's mixtures, and samplers against their moments."""

import math

import pytest
import scipy.stats
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from manifoldflow.realism import PlanarMixture, c_rings, semicircle, spiral, two_moons

PRIORS = [semicircle, c_rings, two_moons, spiral]


@pytest.mark.parametrize("make", PRIORS)
@pytest.mark.parametrize("dim", [2, 20])
def test_density_is_that_of_the_full_mixture(make, dim):
    prior = make(dim, dtype=torch.float64)
    components = len(prior.locs)
    locs = torch.zeros(components, dim, dtype=torch.float64)
    locs[:, :2] = prior.locs
    full = prior.rest_variance * torch.eye(dim, dtype=torch.float64).repeat(components, 1, 1)
    full[:, :2, :2] = prior.covariances
    expected = MixtureSameFamily(Categorical(prior.weights), MultivariateNormal(locs, full))
    points = torch.cat([prior.sample((50,)), 20 * torch.randn(20, dim, dtype=torch.float64)])
    torch.testing.assert_close(prior.log_prob(points), expected.log_prob(points))
    assert torch.autograd.gradcheck(prior.log_prob, (points[:3].requires_grad_(),))


def test_semicircle_is_equation_20():
    prior = semicircle()
    assert prior.event_shape == (20,)
    assert prior.locs.tolist() == [[2, 6], [0, 0], [2, -6]]
    assert prior.covariances[0].tolist() == [[5, 2], [2, 2]]
    assert prior.rest_variance == 0.5


@pytest.mark.parametrize("make", PRIORS)
def test_samples_have_the_law_of_the_density(make):
    """The probability integral of the first coordinate is uniform, and the noise coordinates are normal."""
    torch.manual_seed(3)
    prior = make(5, dtype=torch.float64)
    draws = prior.sample((20_000,))
    scale = prior.covariances[:, 0, 0].sqrt()
    uniform = (prior.weights * torch.special.ndtr((draws[:, :1] - prior.locs[:, 0]) / scale)).sum(-1)
    assert scipy.stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(draws[:, 3].numpy() / prior.rest_variance**0.5, "norm").pvalue > 1e-3


def test_pyro_contract():
    prior = semicircle(4)
    wide = prior.expand((3,))
    assert wide.batch_shape == (3,)
    draws = wide.sample((5,))
    assert draws.shape == (5, 3, 4)
    torch.testing.assert_close(wide.log_prob(draws), prior.log_prob(draws))
    chosen = prior.sample_given(torch.zeros(4000, dtype=torch.long))
    torch.testing.assert_close(chosen[:, :2].mean(0), prior.locs[0], atol=0.2, rtol=0)
    assert prior.log_prob(torch.full((1, 4), 1e4)).isfinite().all()


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="expected shapes"):
        PlanarMixture(torch.zeros(3, 3), torch.eye(2).expand(3, 2, 2))
    with pytest.raises(ValueError, match="dim, rest_variance: expected"):
        semicircle(1)
    with pytest.raises(ValueError, match="covariances"):
        PlanarMixture(torch.zeros(1, 2), -torch.eye(2)[None], validate_args=True)


def test_semicircle_covariances():
    assert semicircle().covariances.tolist() == [[[5, 2], [2, 2]], [[1, 0], [0, 3]], [[5, -2], [-2, 2]]]


@pytest.mark.parametrize(("make", "count", "width"), [(c_rings, 16, 0.5), (two_moons, 12, 0.35), (spiral, 24, 0.4)])
def test_round_components_of_the_width_asked_for(make, count, width):
    for prior, wide, each in ((make(dtype=torch.float64), width, count), (make(5, components=7, width=2.0), 2.0, 7)):
        assert len(prior.locs) == (2 if make is two_moons else 1) * each
        round_ = wide**2 * torch.eye(2, dtype=prior.locs.dtype).expand(len(prior.locs), 2, 2)
        torch.testing.assert_close(prior.covariances, round_)
        assert prior.rest_variance == pytest.approx(wide**2)
    assert make().event_shape == (2,)


def polar(points):
    return points.norm(dim=-1), torch.atan2(points[:, 1], points[:, 0]) % (2 * math.pi)


def test_the_c_is_a_ring_with_its_opening_at_the_right():
    for options, size, gap in (({}, 4.0, 1.2), ({"radius": 2.0, "gap": 0.4, "components": 5}, 2.0, 0.4)):
        radius, angle = polar(c_rings(dtype=torch.float64, **options).locs)
        torch.testing.assert_close(radius, torch.full_like(radius, size))
        ends = torch.tensor([gap / 2, 2 * math.pi - gap / 2], dtype=torch.float64)
        torch.testing.assert_close(angle[[0, -1]], ends)
        torch.testing.assert_close(angle.diff(), ((ends[1] - ends[0]) / (len(angle) - 1)).expand(len(angle) - 1))


def test_the_moons_are_half_circles_of_radius_3_that_interleave():
    prior = two_moons(components=5, dtype=torch.float64)
    upper, lower = prior.locs[:5], prior.locs[5:]
    quarter = 3 / math.sqrt(2)
    arc = [[3, 0], [quarter, quarter], [0, 3], [-quarter, quarter], [-3, 0]]
    torch.testing.assert_close(upper, torch.tensor(arc, dtype=torch.float64), rtol=0, atol=1e-12)
    # the lower one is the upper turned by half a turn around (1.5, 0.75)
    torch.testing.assert_close(lower, torch.tensor([3.0, 1.5], dtype=torch.float64) - upper, rtol=0, atol=1e-12)


def test_the_spiral_grows_evenly_from_radius_1_to_6():
    for options, turns in (({}, 1.5), ({"turns": 0.9, "components": 4}, 0.9)):
        radius, angle = polar(spiral(dtype=torch.float64, **options).locs)
        share = torch.linspace(0, 1, len(radius), dtype=torch.float64)
        torch.testing.assert_close(radius, 1 + 5 * share)
        torch.testing.assert_close(angle.cos(), (2 * math.pi * turns * share).cos())
        torch.testing.assert_close(angle.sin(), (2 * math.pi * turns * share).sin())


def test_weights_are_normalised():
    prior = PlanarMixture(
        torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.eye(2).expand(2, 2, 2), torch.tensor([1.0, 3.0])
    )
    torch.testing.assert_close(prior.weights, torch.tensor([0.25, 0.75]))
    at_centres = torch.tensor([0.25, 0.75]).log() - math.log(2 * math.pi)  # the other component is 9 deviations away
    torch.testing.assert_close(prior.log_prob(prior.locs), at_centres)
    torch.manual_seed(0)
    points, component = prior.sample_component((4000,))
    assert component.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert ((points[:, 0] > 4.5) == (component == 1)).float().mean() > 0.999
    assert prior.sample((0,)).shape == (0, 2)


def test_a_variance_of_zero_is_refused():
    with pytest.raises(ValueError, match="rest_variance: expected"):
        PlanarMixture(torch.zeros(1, 2), torch.eye(2)[None], dim=3, rest_variance=0.0)
