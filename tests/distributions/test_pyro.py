"""The distributions at work in Pyro: plates, SVI, NUTS through a chart, enumerated mixtures, constraints, replays."""

import pickle
from copy import deepcopy

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from torch.distributions import biject_to

from manifoldflow.charts import SimplexConstraint, Stereographic
from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex

from .strategies import direction

F32 = torch.float32


def laws():
    loc = direction(4, dtype=F32)
    return [
        VonMisesFisher(loc, 3.0),
        PowerSpherical(loc, 3.0),
        SphericalUniform(3),
        WrappedNormal(Hypersphere(3), loc, 0.4),
        WrappedNormal(Simplex(3, metric="aitchison"), torch.full((4,), 0.25), 0.4),
        Dirichlet(torch.tensor([0.5, 1.0, 2.0, 3.0])),
        Gaussian(torch.zeros(4), 2.0),
        InChart(VonMisesFisher(loc, 3.0)),
        InChart(Dirichlet(torch.ones(4))),
        VonMisesFisher(loc, 3.0).angle,
    ]


every_law = pytest.mark.parametrize("law", laws(), ids=lambda law: type(law).__name__)


@pytest.fixture(autouse=True)
def _clear():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


@every_law
def test_in_a_model(law):
    def model(data=None):
        with pyro.plate("batch", 6):
            with pyro.plate("inner", 2, dim=-2):
                s = pyro.sample("s", law)
            return s, pyro.sample("observed", law, obs=data)

    data = law.sample((6,))
    trace = poutine.trace(model).get_trace(data)
    trace.compute_log_prob()
    assert trace.nodes["s"]["value"].shape == (2, 6, *law.event_shape)
    assert trace.nodes["s"]["log_prob"].shape == (2, 6)
    torch.testing.assert_close(trace.nodes["observed"]["log_prob"], law.log_prob(data))
    replayed = poutine.replay(model, trace=trace)(data)[0]
    assert torch.equal(replayed, trace.nodes["s"]["value"])


@every_law
def test_masks_expansion_copies_and_pickles(law):
    batch = law.expand_by([3])
    assert batch.batch_shape == (3,)
    masked = batch.mask(torch.tensor([True, False, True]))
    s = batch.sample()
    assert masked.log_prob(s)[1] == 0
    assert batch.to_event(1).log_prob(s).shape == ()
    torch.testing.assert_close(deepcopy(law).log_prob(s), law.log_prob(s))
    torch.testing.assert_close(pickle.loads(pickle.dumps(law)).log_prob(s), law.log_prob(s))
    assert law.support.check(s).all()
    assert law.has_rsample


@every_law
def test_mixtures(law):
    components = law.expand([3])
    mixture = dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.2, 0.3, 0.5])), components)
    s = mixture.sample((5,))
    assert s.shape == (5, *law.event_shape)
    # equal components: the mixture is any of them
    torch.testing.assert_close(mixture.log_prob(s), law.log_prob(s), rtol=1e-5, atol=1e-5)


def test_plain_svi_recovers_the_maximum_of_the_likelihood():
    data = VonMisesFisher(direction(5, dtype=F32), 8.0).sample((400,))
    best = VonMisesFisher.fit(data)

    def model():
        loc = pyro.param("loc", torch.ones(5))
        concentration = pyro.param("concentration", torch.tensor(1.0), constraint=dist.constraints.positive)
        with pyro.plate("data", 400):
            pyro.sample("s", VonMisesFisher(loc / loc.norm(), concentration), obs=data)

    svi = SVI(model, lambda: None, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    for _ in range(300):
        svi.step()
    loc = pyro.param("loc").detach()
    assert (loc / loc.norm() - best.loc).norm() < 1e-2
    assert pyro.param("concentration").item() == pytest.approx(best.concentration.item(), rel=2e-2)


def test_amortised_svi_with_reparameterised_draws():
    # A von Mises-Fisher prior is conjugate to von Mises-Fisher observations: the posterior is known.
    prior_loc, count = direction(3, "north", F32), 5
    data = VonMisesFisher(direction(3, seed=2, dtype=F32), 6.0).sample((count, 40))
    resultant = 2.0 * prior_loc + 6.0 * data.sum(0)
    net = torch.nn.Linear(3, 4)

    def model():
        with pyro.plate("groups", 40):
            s = pyro.sample("s", VonMisesFisher(prior_loc, 2.0))
            with pyro.plate("draws", count, dim=-2):
                pyro.sample("data", VonMisesFisher(s, 6.0), obs=data)

    def guide():
        pyro.module("net", net)
        out = net(resultant / 20)
        loc = out[:, :3] / out[:, :3].norm(dim=-1, keepdim=True)
        with pyro.plate("groups", 40):
            pyro.sample("s", VonMisesFisher(loc, torch.nn.functional.softplus(out[:, 3]) * 20))

    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.03}), Trace_ELBO(num_particles=2))
    for _ in range(250):
        svi.step()
    out = net(resultant / 20)
    loc = out[:, :3] / out[:, :3].norm(dim=-1, keepdim=True)
    exact = resultant / resultant.norm(dim=-1, keepdim=True)
    assert (loc * exact).sum(-1).mean() > 0.99
    concentration = torch.nn.functional.softplus(out[:, 3]) * 20
    assert (concentration / resultant.norm(dim=-1)).mean().item() == pytest.approx(1, abs=0.15)


@pytest.mark.slow
def test_nuts_through_a_chart():
    law = VonMisesFisher(direction(3, dtype=torch.float64), 6.0)
    chart = Stereographic(2)

    def model():
        pyro.sample("z", InChart(law, chart))

    mcmc = MCMC(NUTS(model), num_samples=800, warmup_steps=200, disable_progbar=True)
    mcmc.run()
    cosine = (chart(mcmc.get_samples()["z"]) * law.loc).sum(-1)
    # at least one effective draw in four
    error = (law.cosine_variance / 200).sqrt()
    assert abs(cosine.mean() - law.mean_resultant_length) < 4 * error


def test_enumerated_mixture_finds_its_components():
    truth = torch.stack([direction(4, seed=i, dtype=F32) for i in (0, 5, 9)])
    data = torch.cat([VonMisesFisher(m, 60.0).sample((50,)) for m in truth])

    @config_enumerate
    def model():
        raw = pyro.param("locs", lambda: data[[0, 60, 120]] + 0.3 * torch.randn(3, 4))
        concentration = pyro.param("concentration", torch.ones(3) * 5, constraint=dist.constraints.positive)
        weights = pyro.param("weights", torch.ones(3) / 3, constraint=SimplexConstraint(2))
        locs = raw / raw.norm(dim=-1, keepdim=True)
        with pyro.plate("data", len(data)):
            k = pyro.sample("k", dist.Categorical(weights))
            pyro.sample("s", VonMisesFisher(locs[k], concentration[k]), obs=data)

    svi = SVI(model, lambda: None, pyro.optim.Adam({"lr": 0.1}), TraceEnum_ELBO(max_plate_nesting=1))
    for _ in range(200):
        svi.step()
    locs = pyro.param("locs").detach()
    locs = locs / locs.norm(dim=-1, keepdim=True)
    assert ((locs * truth).sum(-1) > 0.99).all()
    torch.testing.assert_close(pyro.param("weights").detach(), torch.full((3,), 1 / 3), rtol=0, atol=0.05)
    assert ((pyro.param("concentration").detach() / 60 - 1).abs() < 0.4).all()


def test_wrapped_normal_sites_are_initialised_through_the_default_chart():
    simplex = WrappedNormal(Simplex(2, metric="aitchison"), torch.tensor([0.2, 0.3, 0.5]), 0.5)
    assert simplex.support.check(biject_to(simplex.support)(torch.randn(5, 2))).all()
    for law in (
        WrappedNormal(Euclidean(2), torch.zeros(2), 0.5),
        WrappedNormal(Hypersphere(2), direction(3, dtype=F32), 0.5),
    ):
        mcmc = MCMC(NUTS(lambda law=law: pyro.sample("s", law)), num_samples=20, warmup_steps=20, disable_progbar=True)
        mcmc.run()
        assert law.support.check(mcmc.get_samples()["s"]).all()


def test_dirichlet_sites_are_initialised_through_our_constraint():
    data = dist.Multinomial(100, torch.tensor([0.2, 0.3, 0.5])).sample()

    def model():
        p = pyro.sample("p", Dirichlet(torch.ones(3)))
        pyro.sample("counts", dist.Multinomial(100, p), obs=data)

    guide = pyro.infer.autoguide.AutoNormal(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=4))
    for _ in range(300):
        svi.step()
    p = torch.stack([guide()["p"] for _ in range(200)]).mean(0)
    torch.testing.assert_close(p, (data + 1) / 103, rtol=0, atol=0.03)
