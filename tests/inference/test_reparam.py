"""Sites on manifolds as normal vectors: exact densities and draws, every guide, NUTS against quadrature."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyro import poutine
from pyro.distributions.constraints import sphere
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, autoguide
from scipy.stats import chi, kstest
from torch.distributions import biject_to, constraints, transform_to

from manifoldflow.distributions import (
    Bingham,
    Dirichlet,
    FisherBingham,
    Mixture,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.distributions.constraints import OnSpace
from manifoldflow.inference import AutoReparam, Lifted, ManifoldReparam, SphereReparam, auto_reparam, onto, sites
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, tolerance

NORTH = torch.tensor([0.0, 0.0, 1.0])
SPACES = [
    Hypersphere(1),
    Hypersphere(2),
    Hypersphere(40),
    Torus(1),
    Torus(3),
    Product([Hypersphere(2), Torus(2), Euclidean(2), Simplex(2)]),
]


@pytest.fixture(autouse=True)
def _clear():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


@given(
    space=st.sampled_from(SPACES),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    size=st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
)
def test_images_are_points_with_finite_gradients(space, dtype, size):
    way = onto(space)
    z = torch.randn(4, way.size, dtype=dtype, generator=torch.Generator().manual_seed(1))
    if all(not isinstance(factor, Simplex | Euclidean) for factor in getattr(space, "factors", [space])):
        z = z * size
    z.requires_grad_()
    s = way(z)
    assert s.dtype == dtype
    assert bool((space.off(s.detach()) <= tolerance(dtype)).all())
    if size == 1:
        assert torch.autograd.grad(s.sum() + way.log_fibre(z).sum(), z)[0].isfinite().all()
        if way.size < 10:
            assert torch.autograd.gradcheck(way, (z[:1].double(),))
            assert torch.autograd.gradgradcheck(way, (z[:1].double(),))
    elif size == 0:
        assert torch.autograd.grad(s.sum(), z)[0].isfinite().all()


@given(space=st.sampled_from(SPACES), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_ways_back_have_the_same_image(space, dtype):
    way = onto(space)
    s = space.random_point(6, dtype=dtype, generator=torch.Generator().manual_seed(2))
    for z in (way.inv(s), way.lift(s)):
        assert z.shape == (6, way.size)
        assert z.dtype == dtype
        torch.testing.assert_close(way(z), s, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)


def laws():
    mixture = Mixture(dist.Categorical(torch.ones(3)), VonMisesFisher(torch.eye(3), 5.0))
    product = Product([Hypersphere(2), Torus(1), Euclidean(1), Simplex(2, metric="aitchison")])
    at = torch.tensor([0.0, 0.0, 1.0, 3.0, -1.0, 0.2, 0.3, 0.5])
    return [
        VonMisesFisher(NORTH, 3.0),
        SphericalUniform(4),
        FisherBingham(torch.tensor([1.0, 0.0, 1.0]), torch.diag(torch.tensor([2.0, 0.0, -2.0]))),
        Bingham(torch.diag(torch.tensor([-2.0, -1.0, 0.0, 1.0]))),
        mixture,
        VonMises(torch.tensor([0.0, 3.0]), torch.tensor([2.0, 0.5])),
        WrappedNormal(product, at, 0.3),
    ]


@pytest.mark.parametrize("law", laws(), ids=lambda law: f"{type(law).__name__}-{law.event_shape[0]}")
def test_lifted_draws_have_the_lifted_density(law):
    lifted = Lifted(law, onto(law.manifold))
    z = lifted.sample((4000,))
    assert lifted.support.check(z).all()
    flow = lifted.log_prob(z)
    # Of two densities, one drawn from: the mean of their ratio is 1. The other is a normal of the same mean, but
    # narrower, so that the ratio is bounded; at 5 standard errors, a false alarm in two million.
    other = dist.MultivariateNormal(z.mean(0), 0.5 * z.T.cov() + 1e-4 * torch.eye(z.shape[-1]))
    ratio = (other.log_prob(z) - flow).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / 4000**0.5
    assert ratio.std() < 10


def test_norms_have_the_chi_law_whatever_the_direction():
    z = Lifted(VonMisesFisher(torch.eye(5)[0], 20.0), onto(Hypersphere(4))).sample((3000,))
    assert kstest(z.norm(dim=-1).numpy(), chi(5).cdf).pvalue > 1e-4  # the false-alarm rate


def test_lifted_draws_are_differentiable():
    kappa = torch.tensor(3.0, requires_grad=True)
    lifted = Lifted(VonMisesFisher(NORTH, kappa), onto(Hypersphere(2)))
    assert lifted.has_rsample
    assert torch.autograd.grad(lifted.rsample((100,))[:, 2].mean(), kappa)[0] > 0
    assert not Lifted(Bingham(torch.eye(3)), onto(Hypersphere(2))).has_rsample
    batch = lifted.expand((4, 2))
    assert batch.sample().shape == (4, 2, 3)
    assert batch.log_prob(torch.ones(3)).shape == (4, 2)


def many_sites():
    with pyro.plate("columns", 3):
        with pyro.plate("rows", 2, dim=-2):
            pyro.sample("angles", VonMises(torch.zeros(2), 2.0))
        pyro.sample("angle", dist.VonMises(0.0, 3.0))
        with poutine.mask(mask=torch.tensor([True, False, True])):
            pyro.sample("masked", VonMisesFisher(NORTH, 4.0))
    pyro.sample("together", VonMisesFisher(torch.eye(3), 4.0).to_event(1))
    pyro.sample("mask", VonMisesFisher(torch.eye(3), 4.0).mask(False).to_event(1))
    pyro.sample("projected", dist.ProjectedNormal(torch.ones(3)))
    pyro.sample("mixture", laws()[4])
    pyro.sample("rate", dist.Gamma(2.0, 1.0))
    pyro.sample("share", Dirichlet(torch.ones(3)))
    pyro.sample("product", laws()[6])


VECTORS = {
    "angles": (2, 3, 4),
    "angle": (3, 2),
    "masked": (3, 3),
    "together": (3, 3),
    "mask": (3, 3),
    "projected": (3,),
    "mixture": (3,),
    "product": (8,),
}


def test_plates_events_and_masks_keep_their_shapes():
    plain = poutine.trace(many_sites).get_trace()
    trace = poutine.trace(auto_reparam(many_sites)).get_trace()
    for one in (plain, trace):
        one.compute_log_prob()
    for name, shape in VECTORS.items():
        assert trace.nodes[f"{name}_normal"]["value"].shape == shape
        assert trace.nodes[name]["value"].shape == plain.nodes[name]["value"].shape
        if name != "projected":
            assert trace.nodes[f"{name}_normal"]["log_prob"].shape == plain.nodes[name]["log_prob"].shape
        assert (trace.nodes[name]["log_prob"] == 0).all()
    assert trace.nodes["masked_normal"]["log_prob"][1] == 0
    assert {"rate", "share"} <= set(trace.stochastic_nodes)
    assert not {f"{name}_normal" for name in ("rate", "share")} & set(trace.nodes)


def test_samples_of_many_sites_by_nuts_and_a_guide():
    model = auto_reparam(many_sites)
    mcmc = MCMC(NUTS(model, max_tree_depth=2), num_samples=4, warmup_steps=2, disable_progbar=True)
    mcmc.run()
    draws = sites(model, mcmc.get_samples())
    guide = autoguide.AutoNormal(model)
    SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), Trace_ELBO()).step()
    predicted = Predictive(model, guide=guide, num_samples=4)()
    assert set(VECTORS) <= set(draws)
    for name in VECTORS:
        assert draws[name].numel() == predicted[name].numel()  # which has dimensions of size 1 for the plates
        assert draws[name].shape[0] == 4
    grouped = sites(model, mcmc.get_samples(group_by_chain=True), group_by_chain=True)
    assert torch.equal(grouped["together"][0], draws["together"])
    with pytest.raises(ValueError, match="got none of share"):
        sites(model, {name: value for name, value in mcmc.get_samples().items() if name != "share"})
    with pytest.raises(ValueError, match="samples: expected"):
        sites(model, {})


def test_forward_runs_draw_from_the_prior():
    law = VonMisesFisher(NORTH, 5.0)

    @AutoReparam()
    def model():
        with pyro.plate("draws", 4000):
            return pyro.sample("s", law)

    cosine = model()[:, 2]
    # 4 standard errors: a false alarm in 16,000
    assert abs(cosine.mean() - law.mean_resultant_length) < 4 * (law.cosine_variance / 4000).sqrt()


def test_the_joint_density_is_the_models_times_the_fibres():
    def model():
        s = pyro.sample("s", VonMisesFisher(NORTH, 3.0))
        pyro.sample("x", VonMisesFisher(s, 2.0), obs=torch.tensor([1.0, 0.0, 0.0]))

    z = torch.tensor([0.3, -1.0, 2.0])
    s = z / z.norm()
    plain = poutine.trace(poutine.condition(model, {"s": s})).get_trace().log_prob_sum()
    lifted = poutine.trace(poutine.condition(auto_reparam(model), {"s_normal": z})).get_trace()
    normal = dist.Normal(0.0, 1.0).log_prob(z).sum()
    torch.testing.assert_close(lifted.log_prob_sum(), plain + normal + math.log(4 * math.pi))
    torch.testing.assert_close(lifted.nodes["s"]["value"], s)


def test_observed_sites_and_conditions_inside_are_left_alone():
    def model(data=None):
        return pyro.sample("s", VonMisesFisher(NORTH, 3.0), obs=data)

    reparameterised = auto_reparam(model)
    data = torch.tensor([1.0, 0.0, 0.0])
    assert "s_normal" in poutine.trace(reparameterised).get_trace().nodes
    observed = poutine.trace(reparameterised).get_trace(data)
    assert "s_normal" not in observed.nodes
    assert observed.log_prob_sum() == VonMisesFisher(NORTH, 3.0).log_prob(data)
    inside = poutine.trace(auto_reparam(poutine.condition(model, {"s": data}))).get_trace()
    assert inside.log_prob_sum() == observed.log_prob_sum()
    by_name = poutine.trace(poutine.reparam(model, {"s": SphereReparam()})).get_trace(data)
    assert by_name.log_prob_sum() == observed.log_prob_sum()
    # a condition outside comes too late: it is found out, not taken for an observation
    outside = poutine.trace(poutine.condition(reparameterised, {"s": data})).get_trace()
    assert outside.log_prob_sum() == -math.inf


def test_initial_values_are_kept():
    start = torch.tensor([0.6, 0.0, 0.8])

    def model():
        pyro.sample("s", VonMisesFisher(NORTH, 3.0))

    guide = autoguide.AutoNormal(auto_reparam(model), init_loc_fn=autoguide.init_to_value(values={"s": start}))
    guide()
    torch.testing.assert_close(onto(Hypersphere(2))(guide.median()["s_normal"]), start)


def test_refusals_name_the_site_and_the_way_out():
    def model():
        pyro.sample("s", VonMisesFisher(NORTH, 3.0))
        pyro.sample("t", VonMises(torch.zeros(2), 3.0))
        pyro.sample("x", dist.Normal(0.0, 1.0))

    poutine.reparam(model, {"s": SphereReparam(), "t": ManifoldReparam()})()
    with pytest.raises(ValueError, match="site 't': expected a law of unit vectors, got a VonMises"):
        poutine.reparam(model, {"t": SphereReparam()})()
    with pytest.raises(ValueError, match="site 'x': expected a law on a sphere, a torus"):
        poutine.reparam(model, {"x": ManifoldReparam()})()
    NUTS(auto_reparam(model)).setup(1)
    with pytest.raises(ValueError, match=r"no bijection of R\^n with a sphere.*auto_reparam"):
        NUTS(model).setup(1)
    with pytest.raises(ValueError, match="space: expected a sphere, torus"):
        onto(object())


def test_constraints_of_parameters():
    for constraint, size in ((sphere, 4), (OnSpace(Torus(2)), 4), (OnSpace(Product([Torus(1), Hypersphere(2)])), 5)):
        way = transform_to(constraint)
        assert constraint.check(way(torch.randn(7, size))).all()
        with pytest.raises(ValueError, match="no bijection"):
            biject_to(constraint)
    flat = OnSpace(Product([Euclidean(2), Simplex(2)]))
    way = biject_to(flat)
    assert way.bijective
    z = torch.randn(5, 4)
    s = way(z)
    torch.testing.assert_close(way.inv(s), z, rtol=1e-5, atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda z: way(z)[:4], z[0])
    torch.testing.assert_close(way.log_abs_det_jacobian(z, s)[0], jacobian.det().abs().log(), rtol=1e-4, atol=1e-4)
    with pytest.raises(NotImplementedError, match="log_fibre"):
        onto(Torus(1)).log_abs_det_jacobian(z, s)


GUIDES = ["AutoDelta", "AutoNormal", "AutoDiagonalNormal", "AutoMultivariateNormal", "AutoLowRankMultivariateNormal"]


@pytest.mark.parametrize("name", [*GUIDES, "AutoIAFNormal", "AutoLaplaceApproximation", "AutoStructured"])
def test_every_automatic_guide(name):
    @auto_reparam
    def model():
        s = pyro.sample("s", SphericalUniform(2))
        pyro.sample("x", VonMisesFisher(s, 3.0), obs=NORTH)

    guide = getattr(autoguide, name)(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), Trace_ELBO())
    assert math.isfinite([svi.step() for _ in range(3)][-1])
    s = Predictive(model, guide=guide, num_samples=5)()["s"]
    assert bool(sphere.check(s).all())


def test_auto_normal_finds_a_concentrated_posterior():
    # A von Mises-Fisher prior is conjugate to such observations: the posterior is known.
    data = VonMisesFisher(torch.tensor([0.6, 0.0, 0.8]), 20.0).sample((100,))
    resultant = 2.0 * NORTH + 20.0 * data.sum(0)

    @auto_reparam
    def model():
        s = pyro.sample("s", VonMisesFisher(NORTH, 2.0))
        with pyro.plate("data", 100):
            pyro.sample("x", VonMisesFisher(s, 20.0), obs=data)

    guide = autoguide.AutoNormal(model, init_scale=0.05)
    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.1, "lrd": 0.985}), Trace_ELBO())
    for _ in range(200):
        svi.step()
    s = sites(model, {"s_normal": dist.Normal(*guide._get_loc_and_scale("s_normal")).sample((300,))})["s"]
    exact = VonMisesFisher(resultant / resultant.norm(), resultant.norm())
    error = (s.mean(0) / s.mean(0).norm() - exact.loc).norm()
    assert error < 0.02  # the posterior's own spread is 1 / sqrt(concentration), 0.023 a coordinate
    spread = (1 - s @ exact.loc).mean() / (1 - exact.mean_resultant_length)
    assert 0.4 < spread < 2  # a diagonal normal is not the posterior, but as wide


class QuarticLaw(dist.TorchDistribution):
    """A density of our own, exp(sum of a_i x_i^4 + b x), with no normaliser; draws only to start from."""

    arg_constraints = {}  # noqa: RUF012
    support = sphere
    weights, linear = torch.tensor([3.0, -2.0, 1.0]), torch.tensor([0.5, 0.5, 0.0])

    def __init__(self):
        super().__init__(event_shape=(3,))

    def log_prob(self, value):
        return (value**4 @ self.weights) + value @ self.linear

    def sample(self, sample_shape=()):
        return SphericalUniform(2).sample(sample_shape)


def quadrature(law, count=400):
    """Mean and second moment of a density on S^2: Gauss-Legendre in the height, equal steps round it."""
    import numpy as np

    height, weight = (torch.tensor(a, dtype=torch.float32) for a in np.polynomial.legendre.leggauss(count))
    turn = 2 * math.pi * torch.arange(count) / count
    radius = (1 - height.square()).sqrt()[:, None]
    grid = torch.stack([radius * turn.cos(), radius * turn.sin(), height[:, None].expand(-1, count)], -1)
    mass = weight[:, None] * law.log_prob(grid / grid.norm(dim=-1, keepdim=True)).exp()
    mass = mass / mass.sum()
    return torch.einsum("ij,ija->a", mass, grid), torch.einsum("ij,ija,ijb->ab", mass, grid, grid)


def sampled(law, draws, warmup=300, **options):
    def model():
        pyro.sample("s", law)

    model = auto_reparam(model)
    mcmc = MCMC(NUTS(model, **options), num_samples=draws, warmup_steps=warmup, disable_progbar=True)
    mcmc.run()
    return sites(model, mcmc.get_samples())["s"], mcmc.diagnostics()


@pytest.mark.slow
@pytest.mark.parametrize("law", [*laws()[:1], *laws()[2:3], QuarticLaw()], ids=lambda law: type(law).__name__)
def test_nuts_agrees_with_quadrature(law):
    s, diagnostics = sampled(law, 1500)
    mean, second = quadrature(law)
    assert ((s.norm(dim=-1) - 1).abs() < 1e-5).all()
    assert ((s.mean(0) - mean).abs() < 0.08).all()
    assert ((torch.einsum("ia,ib->ab", s, s) / len(s) - second).abs() < 0.08).all()
    assert not diagnostics["divergences"]["chain 0"]


@pytest.mark.slow
def test_directions_of_high_concentration_do_not_diverge():
    law = VonMisesFisher(torch.tensor([0.6, 0.0, 0.8]), 1e4)
    s, diagnostics = sampled(law, 300)
    assert not diagnostics["divergences"]["chain 0"]
    # about 100 effective draws: 4 standard errors
    gap = 1e4 * (1 - s.double() @ law.loc.double())
    assert abs(gap.mean() - 1) < 0.4


def test_constraint_of_the_lifted_law():
    law = Lifted(SphericalUniform(2), onto(Hypersphere(2)))
    assert law.support == constraints.real_vector or law.support.event_dim == 1
    assert repr(law) == "Lifted(SphericalUniform, batch=(), event=(3,))"
    with pytest.raises(ValueError, match="support"):
        law.log_prob(torch.tensor([math.nan, 0.0, 1.0]))


def test_the_ends_of_a_simplex_are_never_quite_reached():
    """Where softmax gives 0 the law of a product would refuse the point, and stop the sampler."""
    space = Product([Euclidean(1), Simplex(2, metric="aitchison")])
    law = WrappedNormal(space, torch.tensor([0.0, 0.2, 0.3, 0.5]), 0.3)
    z = torch.tensor([0.0, 300.0, -300.0], requires_grad=True)
    (density := law.log_prob(biject_to(law.support)(z))).backward()
    assert density.isfinite()
    assert z.grad.isfinite().all()
