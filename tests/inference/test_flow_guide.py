"""The guide by flows: exact densities of sites of every kind, plates, and how near it comes to posteriors."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro.infer import SVI, Predictive, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.infer.importance import vectorized_importance_weights

from manifoldflow.distributions import (
    Dirichlet,
    FisherBingham,
    Gaussian,
    Joint,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
)
from manifoldflow.inference import AutoManifoldFlow, AutoVonMisesFisher, auto_reparam, guide_quality
from manifoldflow.inference.placed import place_on
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus


@pytest.fixture(autouse=True)
def _clear():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


def basis(space, x):
    """An orthonormal basis of the tangent space at one point, as columns."""
    if isinstance(space, Hypersphere):
        return torch.linalg.qr(x.unsqueeze(-1), mode="complete").Q[:, 1:]
    return torch.eye(len(x), dtype=x.dtype)


@settings(max_examples=25)
@given(
    space=st.sampled_from([Hypersphere(1), Hypersphere(2), Hypersphere(5), Torus(2), Euclidean(3)]),
    scale=st.floats(1e-3, 20),
    seed=st.integers(0, 1000),
)
def test_a_place_is_a_map_of_the_space_with_its_volume(space, scale, seed):
    torch.manual_seed(seed)
    x, loc = (space.projection(space.random_point(2).double()) for _ in range(2))
    place = place_on(space)
    start = {name: entry.value for name, entry in place.start(loc, 1.0).items()}
    start["scale"] = torch.full_like(start["scale"], scale)
    y, ladj = place.move(x, **start)
    assert space.belongs(y).all()
    for i in range(2):
        one = {name: value[i] for name, value in start.items()}
        jacobian = torch.autograd.functional.jacobian(lambda x, one=one: place.move(x, **one)[0], x[i])
        inner = basis(space, y[i]).T @ jacobian @ basis(space, x[i])
        torch.testing.assert_close(ladj[i], torch.linalg.slogdet(inner)[1], rtol=1e-6, atol=1e-6)
    _, none = place.move(loc, **{**start, "loc": loc, "scale": torch.ones_like(start["scale"])})
    torch.testing.assert_close(none, torch.zeros_like(none), rtol=0, atol=1e-12)
    if isinstance(space, Hypersphere):  # the centre and its antipode stay
        torch.testing.assert_close(place.move(loc, **start)[0], loc)
        torch.testing.assert_close(place.move(-loc, **start)[0], -loc)


def everything():
    """Sites of every kind, in and out of plates, without data: the evidence is 1."""
    s = pyro.sample("s", VonMisesFisher(torch.tensor([0.0, 0.6, 0.8]), 2.0))
    angles = pyro.sample("angles", VonMises(torch.zeros(2), torch.ones(2)))
    angle = pyro.sample("angle", dist.VonMises(angles[..., 0], 2.0))
    size = pyro.sample("size", dist.LogNormal(s[..., 0], 0.7))
    space = Product([Hypersphere(1), Simplex(2), Torus(1), Euclidean(1)])
    parts = [SphericalUniform(1), Dirichlet(torch.full((3,), 3.0)), VonMises(torch.zeros(1), torch.ones(1))]
    pyro.sample("joint", Joint([*parts, Gaussian(torch.zeros(1))], space))
    pyro.sample("pair", SphericalUniform(1).expand([2]).to_event(1))
    pyro.sample("shares", dist.Dirichlet(torch.full((3,), 2.0)))
    with pyro.plate("rows", 2, dim=-2):
        pyro.sample("level", dist.Normal(angle.cos(), size.clamp(max=3) + 0.5))
        with pyro.plate("columns", 3, dim=-1):
            pyro.sample("direction", VonMisesFisher(s, 1.0))


def shaken(guide, size=0.1):
    """A guide whose flows are not the identity any more."""
    guide()
    with torch.no_grad():
        for flow in guide.flows.children():
            for parameter in flow.parameters():
                parameter += size * torch.randn_like(parameter)
    return guide


@pytest.mark.parametrize("scale", [1.5, 1.0])
def test_the_density_is_that_of_the_draws(scale):
    # The mean of p / q over draws of q is the integral of p where q is positive: 1.
    guide = shaken(AutoManifoldFlow(everything, init_scale=scale, transforms=2, hidden=8))
    with torch.no_grad():
        log_weights, *_ = vectorized_importance_weights(everything, guide, num_samples=20000, max_plate_nesting=2)
    weights = log_weights.double().exp()
    assert weights.std() > 0.3  # p is not q
    assert (weights.mean() - 1).abs() < 4 * weights.std() / len(weights) ** 0.5


def test_a_bimodal_ridge_is_nearer_than_by_independent_sites():
    law = FisherBingham(torch.tensor([0.3, 0.0, 0.3]), torch.diag(torch.tensor([0.0, 1.0, 5.0])))  # modes at both poles

    def model():  # without data: the evidence is 1, and minus the bound is the divergence
        s = pyro.sample("s", law)
        pyro.sample("a", dist.Normal(2 * s[..., 2], 0.4))

    def quality(guide, model, steps=150):
        pyro.clear_param_store()
        pyro.set_rng_seed(0)
        elbo = Trace_ELBO(24, vectorize_particles=True, max_plate_nesting=0)
        svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.02, "lrd": 0.05 ** (1 / steps)}), elbo)
        for _ in range(steps):
            svi.step()
        return guide_quality(model, guide, draws=2000, max_plate_nesting=0)

    flow = quality(AutoManifoldFlow(model, init_scale=1.5, transforms=1), model)
    lifted = auto_reparam(model)
    for other in (
        quality(AutoVonMisesFisher(model), model),
        quality(AutoNormal(lifted), lifted),
    ):
        assert -other.elbo > 0.5  # one mode of two
        assert -flow.elbo < -other.elbo / 4
        assert flow.effective > other.effective
    assert flow.effective > 0.5


def local(data, subsample=None):
    """A direction for every observation, and a common one with a concentration."""
    centre = pyro.sample("centre", SphericalUniform(2))
    kappa = pyro.sample("kappa", dist.Gamma(4.0, 0.2))
    with pyro.plate("data", len(data), subsample_size=subsample) as rows:
        s = pyro.sample("s", VonMisesFisher(centre.unsqueeze(-2) if centre.dim() > 1 else centre, kappa))
        pyro.sample("x", VonMisesFisher(s, 30.0), obs=data[rows])


@pytest.mark.parametrize("subsample", [None, 5])
def test_plates_and_subsamples(subsample):
    data = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 8.0).sample((12,))
    guide = AutoManifoldFlow(local, init_scale=0.3, transforms=1, hidden=8)
    svi = SVI(local, guide, pyro.optim.ClippedAdam({"lr": 0.02}), Trace_ELBO())
    losses = [svi.step(data, subsample) for _ in range(25)]
    assert sum(losses[-8:]) < sum(losses[:8])
    rows = subsample or 12
    assert guide(data, subsample)["s"].shape == (rows, 3)
    draws = guide.draws(50, data, subsample)
    assert {name: tuple(value.shape) for name, value in draws.items()} == {
        "centre": (50, 3),
        "kappa": (50,),
        "s": (50, rows, 3),
    }
    torch.testing.assert_close(draws["s"].norm(dim=-1), torch.ones(50, rows))
    assert draws["s"].std(0).min() > 0.01
    assert set(guide.quantiles([0.1, 0.9], data, subsample)) == {"kappa"}
    low, high = guide.quantiles([0.1, 0.9], data, subsample)["kappa"]
    assert 0 < low < guide.median(data, subsample)["kappa"] < high


def test_both_bounds_agree_and_predictions_come_in_one_batch():
    data = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 8.0).sample((12,))
    guide = shaken(AutoManifoldFlow(lambda: local(data), init_scale=0.3, transforms=1, hidden=8))
    losses = []
    for elbo in (Trace_ELBO(), TraceMeanField_ELBO()):
        pyro.set_rng_seed(1)
        losses.append(elbo.loss(guide.model, guide))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    found = Predictive(guide.model, guide=guide, num_samples=7, parallel=True)()
    assert found["x"].shape == (7, 12, 3)


def test_coordinates_with_an_order_have_quantiles():
    def model():
        pyro.sample("vector", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("positive", dist.LogNormal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("shares", dist.Dirichlet(torch.ones(3)))

    guide = AutoManifoldFlow(model, hidden=8)
    found = guide.quantiles([0.2, 0.8], draws=200)
    assert {name: tuple(value.shape) for name, value in found.items()} == {"vector": (2, 3), "positive": (2, 2)}
    assert (found["positive"][0] < found["positive"][1]).all()
    assert guide.median()["shares"].sum() == pytest.approx(1)


def test_the_dtype_is_that_of_the_model():
    def model():
        s = pyro.sample("s", VonMisesFisher(torch.tensor([0.0, 1.0], dtype=torch.float64), 2.0))
        pyro.sample("a", dist.Normal(s[..., 0], 1.0))

    guide = shaken(AutoManifoldFlow(model, hidden=8))
    found = guide()
    assert {name: value.dtype for name, value in found.items()} == {"s": torch.float64, "a": torch.float64}
    assert (found["s"].norm() - 1).abs() < 1e-12
    assert guide.median()["s"].dtype == torch.float64


def test_refusals():
    def model(law):
        pyro.sample("site", law)

    AutoManifoldFlow(model)(dist.Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="discrete sample site 'site'"):
        AutoManifoldFlow(model)(dist.Poisson(1.0))
    with pytest.raises(ValueError, match="expected latent sites"):
        AutoManifoldFlow(lambda: None)()
    for name in ("init_scale", "bins", "hidden", "transforms"):
        with pytest.raises(ValueError, match=name):
            AutoManifoldFlow(model, **{name: 0})
