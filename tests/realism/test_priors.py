"""Test priors: densities against torch's mixtures, and samplers against their moments."""

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
