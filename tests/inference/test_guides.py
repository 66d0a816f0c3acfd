"""Guides with a law for every site, against posteriors in closed form."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import init_to_value

from manifoldflow.distributions import Dirichlet, VonMisesFisher
from manifoldflow.inference import AutoDirichlet, AutoManifoldFlow, AutoVonMisesFisher, guide_quality

NORTH = torch.tensor([0.0, 0.0, 1.0])


@pytest.fixture(autouse=True)
def _clear():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


def fitted(guide, model, steps, elbo):
    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.1, "lrd": 0.985}), elbo)
    for _ in range(steps):
        svi.step()
    return guide


def test_a_conjugate_direction_is_found():
    data = VonMisesFisher(torch.tensor([0.6, 0.0, 0.8]), 4.0).sample((20,))
    resultant = 2.0 * NORTH + 4.0 * data.sum(0)  # the posterior is von Mises-Fisher too

    def model():
        s = pyro.sample("s", VonMisesFisher(NORTH, 2.0))
        with pyro.plate("data", 20):
            pyro.sample("x", VonMisesFisher(s, 4.0), obs=data)

    guide = fitted(AutoVonMisesFisher(model, init_scale=0.15), model, 250, Trace_ELBO())
    assert (guide.median()["s"] - resultant / resultant.norm()).norm() < 0.03
    exact = VonMisesFisher(NORTH, resultant.norm()).angle.icdf(torch.tensor(0.95))
    assert guide.caps(0.95)["s"].item() == pytest.approx(exact.item(), rel=0.3)
    assert guide_quality(model, guide).effective > 0.7


def test_a_conjugate_composition_is_found():
    counts = torch.tensor([2.0, 3.0, 5.0])

    def model():
        p = pyro.sample("p", Dirichlet(torch.ones(3)))
        pyro.sample("counts", dist.Multinomial(10, p), obs=counts)

    guide = fitted(AutoDirichlet(model), model, 200, TraceMeanField_ELBO())
    torch.testing.assert_close(guide.median()["p"], (counts + 1) / 13, rtol=0, atol=0.06)
    with pytest.raises(ValueError, match="init_scale"):
        AutoDirichlet(model, init_scale=0.0)


@pytest.mark.parametrize("kind", [AutoVonMisesFisher, AutoManifoldFlow])
def test_training_leaves_the_values_to_start_from_as_they_are(kind):
    start = torch.tensor([0.6, 0.0, 0.8])

    def model():
        pyro.sample("s", VonMisesFisher(NORTH, 2.0))

    guide = kind(model, init_loc_fn=init_to_value(values={"s": start}))
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    for _ in range(3):
        svi.step()
    torch.testing.assert_close(start, torch.tensor([0.6, 0.0, 0.8]), rtol=0, atol=0)
