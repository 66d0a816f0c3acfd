"""GeodesicHMC and GeodesicNUTS: exact moments, sites of every kind, and what Pyro's `MCMC` offers around them."""

import math
import pickle
import warnings
from typing import ClassVar

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, Predictive
from pyro.infer.autoguide import init_to_value
from pyro.ops.stats import effective_sample_size
from scipy.special import ive
from torch.distributions import constraints

from manifoldflow.distributions import (
    Dirichlet,
    FisherBingham,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.inference import GeodesicHMC, GeodesicNUTS
from manifoldflow.inference.motion import Circles, Directions, Flat, Joined, Roots, motion_of
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from tests.inference.exact_laws import (
    CONCENTRATION,
    DOUBLE,
    MODES,
    axes,
    fisher_bingham,
    four_modes,
    moments,
    quadrature,
    sphere_grid,
    three_sphere_grid,
)

KERNELS = [GeodesicHMC, GeodesicNUTS]


def run(model, *args, kernel=GeodesicNUTS, samples=100, warmup=100, seed=0, chains=1, initial_params=None, **options):
    pyro.set_rng_seed(seed)
    pyro.clear_param_store()
    mcmc = MCMC(
        kernel(model, **options),
        num_samples=samples,
        warmup_steps=warmup,
        num_chains=chains,
        initial_params=initial_params,
        disable_progbar=True,
    )
    mcmc.run(*args)
    return mcmc


def assert_means(draws, expected):
    """Means of statistics (m, k) within 4 Monte Carlo standard errors; 6e-5 is the chance of a false alarm each."""
    size = effective_sample_size(draws[None].double()).clamp(max=len(draws))
    deviation = draws.double().std(0) / size.sqrt()
    error = (draws.double().mean(0) - torch.as_tensor(expected, dtype=torch.float64)) / deviation
    assert error.abs().max() < 4, error


def many(form="factors"):
    """Independent sites on spheres, a torus, a circle, a simplex and a product."""
    a = pyro.sample("a", SphericalUniform(2, dtype=torch.float64))
    b = pyro.sample("b", SphericalUniform(2, dtype=torch.float64))
    c = pyro.sample("c", SphericalUniform(3, dtype=torch.float64))
    pyro.factor("densities", fisher_bingham(a) + four_modes(b) + axes(c))
    pyro.sample("free", SphericalUniform(2, dtype=torch.float64))
    pyro.sample("torus", VonMises(torch.tensor([3.0, -1.0], **DOUBLE), torch.tensor([2.0, 0.5], **DOUBLE)))
    pyro.sample("angle", dist.VonMises(torch.tensor(-3.0, **DOUBLE), torch.tensor(4.0, **DOUBLE)))
    pyro.sample("simplex", dist.Dirichlet(CONCENTRATION))
    pyro.sample("scale", dist.Gamma(torch.tensor(3.0, **DOUBLE), 2.0))


def check_many(draws):
    grid = sphere_grid()
    assert_means(moments(draws["a"]), quadrature(fisher_bingham, grid))
    assert_means(moments(draws["b"]), quadrature(four_modes, grid))
    assert_means(moments(draws["c"]), quadrature(axes, three_sphere_grid()))
    assert_means(moments(draws["free"]), [0, 0, 0, 1 / 3, 0, 0, 1 / 3, 0])
    angles = torch.cat([draws["torus"], draws["angle"][:, None]], -1) - torch.tensor([3.0, -1.0, -3.0])
    kappa = np.array([2.0, 0.5, 4.0])
    assert_means(
        torch.cat([angles.cos(), angles.sin(), (2 * angles).cos()], -1),
        np.concatenate([ive(1, kappa) / ive(0, kappa), np.zeros(3), ive(2, kappa) / ive(0, kappa)]),
    )
    assert draws["angle"].abs().max() <= math.pi
    mean = CONCENTRATION / CONCENTRATION.sum()
    square = mean * (CONCENTRATION + 1) / (CONCENTRATION.sum() + 1)
    assert_means(torch.cat([draws["simplex"], draws["simplex"].square()], -1), torch.cat([mean, square]))
    assert_means(torch.stack([draws["scale"], draws["scale"].square()], -1), [1.5, 3.0])


@pytest.mark.slow
def test_moments_of_nuts():
    mcmc = run(many, samples=800, warmup=300, jit_compile=True)
    check_many(mcmc.get_samples())


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_moments_of_long_runs(kernel):
    mcmc = run(many, kernel=kernel, samples=3000, warmup=500, seed=1, jit_compile=True)
    check_many(mcmc.get_samples())


class Bingham(dist.TorchDistribution):
    """exp(4 x y + 2 z) on S^2 by its density alone, without draws and without a normaliser."""

    arg_constraints: ClassVar[dict] = {}
    support = dist.constraints.sphere

    def __init__(self):
        super().__init__(torch.Size(), torch.Size([3]))

    def log_prob(self, x):
        return 4 * x[..., 0] * x[..., 1] + 2 * x[..., 2]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_density_of_ones_own(kernel):
    mcmc = run(lambda: pyro.sample("x", Bingham()), kernel=kernel, samples=300, warmup=100)
    x = mcmc.get_samples()["x"]
    assert x.dtype == torch.float32
    assert (x.double().norm(dim=-1) - 1).abs().max() < 1e-6
    assert_means(moments(x), quadrature(Bingham().log_prob, sphere_grid()))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_density_of_ones_own_at_length(kernel):
    mcmc = run(lambda: pyro.sample("x", Bingham()), kernel=kernel, samples=1500, warmup=300)
    x = mcmc.get_samples()["x"]
    expected = quadrature(Bingham().log_prob, sphere_grid())
    assert (moments(x).mean(0) - expected).abs().max() < 0.08
    assert (x.norm(dim=-1) - 1).abs().max() < 1e-5


def product_law():
    space = Product([Hypersphere(2), Torus(1), Euclidean(2)])
    loc = space.join([torch.tensor([0.0, 0.0, 1.0]), torch.tensor([3.0]), torch.zeros(2)]).double()
    return WrappedNormal(space, loc, 0.3)


@pytest.mark.parametrize("kappa", [1e4, 1e6])
def test_concentrated_directions_have_no_divergences(kappa):
    def model():
        x = pyro.sample("x", SphericalUniform(2, dtype=torch.float64))
        pyro.sample("data", VonMisesFisher(x, kappa), obs=MODES[0])

    mcmc = run(model, samples=150, warmup=150)
    assert mcmc.diagnostics()["divergences"]["chain 0"] == []
    x = mcmc.get_samples()["x"]
    assert_means(kappa * (1 - x @ MODES[0])[:, None], [1.0])


def wind(covariate, data=None):
    """A direction that turns with a covariate, its concentration, and a slope; the covariate has shape (m,)."""
    start = pyro.sample("start", SphericalUniform(2))
    kappa = pyro.sample("kappa", dist.Gamma(torch.tensor(8.0), torch.tensor(1.0)))
    slope = pyro.sample("slope", dist.Normal(torch.tensor(0.0), torch.tensor(0.5)))
    pole = torch.tensor([0.0, 0.0, 1.0])
    loc = torch.nn.functional.normalize(start + slope * covariate[:, None] * pole, dim=-1)
    with pyro.plate("rows", len(covariate)):
        return pyro.sample("data", VonMisesFisher(loc, kappa), obs=data)


def test_direction_concentration_and_slope_in_one_model():
    pyro.set_rng_seed(3)
    covariate = torch.linspace(-1, 1, 30)
    truth = {"start": torch.tensor([1.0, 0.0, 0.0]), "kappa": torch.tensor(8.0), "slope": torch.tensor(0.4)}
    data = pyro.condition(wind, truth)(covariate)
    mcmc = run(wind, covariate, data, samples=120, warmup=120)
    draws, diagnostics = mcmc.get_samples(), mcmc.diagnostics()
    assert draws["start"].shape == (120, 3)
    assert (draws["kappa"] > 0).all()
    assert (draws["start"] @ truth["start"]).mean() > 0.97
    assert draws["kappa"].mean() == pytest.approx(8, abs=4)
    assert draws["slope"].mean() == pytest.approx(0.4, abs=0.35)
    assert {"divergences", "acceptance rate", "step size", "gradients", "start"} <= set(diagnostics)
    assert diagnostics["gradients"]["chain 0"] >= 120
    assert 0 < diagnostics["acceptance rate"]["chain 0"] <= 1
    again = Predictive(wind, draws)(covariate)["data"]
    assert again.shape == (120, 30, 3)


def test_steps_are_reversible_and_of_second_order():
    def model():
        a = pyro.sample("a", SphericalUniform(2, dtype=torch.float64))
        slope = pyro.sample("slope", dist.Normal(torch.tensor(0.0, **DOUBLE), 1.0))
        pyro.factor("density", fisher_bingham(a) + slope * a[..., 2])

    pyro.set_rng_seed(0)
    kernel = GeodesicNUTS(model)
    kernel.setup(0)
    start = kernel._phase._replace(p=kernel._target.geodesics.momentum(kernel._phase.q, kernel.inverse_mass))
    errors = []
    for step in (0.2, 0.1):
        path = [start]
        for _ in range(round(1 / step)):
            path.append(kernel._step(path[-1], step))
        errors.append(max(abs(kernel._energy(phase) - kernel._energy(start)) for phase in path))
    assert errors[0] < 0.1
    assert 3 < errors[0] / errors[1] < 5
    back = path[-1]
    for _ in range(10):
        back = kernel._step(back, -0.1)
    torch.testing.assert_close(back.q, start.q)
    torch.testing.assert_close(back.p, start.p)
    assert kernel._gradients == 2 * (5 + 10 + 10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_end_near_a_quarter_of_an_oscillation_once_masses_are_adapted(kernel):
    def model():
        pyro.sample("x", dist.Normal(torch.zeros(3, **DOUBLE), 50.0).to_event(1))

    def step(**options):
        mcmc = run(model, kernel=kernel, samples=4, warmup=100, **options)
        return mcmc.diagnostics()["step size"]["chain 0"]

    assert 0.5 < step() <= 1.67
    assert step(adapt_mass_matrix=False) > 20


def test_paths_end_at_a_quarter_of_an_oscillation():
    def model():
        pyro.sample("x", dist.Normal(torch.zeros(30, dtype=torch.float64), 1.0).to_event(1))

    pyro.set_rng_seed(0)
    kernel = GeodesicNUTS(model)
    kernel.setup(0)
    x = torch.randn(30, **DOUBLE)
    p = torch.randn(30, **DOUBLE)
    p = p - x * (p @ x) / (x @ x)  # no radial motion: positions turn on a circle
    p = p * x.norm() / p.norm()

    def phase(time):
        return kernel._phase._replace(
            q=x * math.cos(time) + p * math.sin(time), p=p * math.cos(time) - x * math.sin(time)
        )

    # (t / 2) cot(t / 2), the growth of the chord of an arc, is 0.8 at t = 1.50
    turns = [kernel._turns(phase(0.0), phase(time), time) for time in (0.5, 1.45, 1.55, 3.0)]
    assert turns == [False, False, True, True]
    # a short oscillation beside a long one, at its widest: the path goes on, and ends when it turns back
    wide, along = torch.zeros(30, **DOUBLE), torch.zeros(30, **DOUBLE)
    wide[:2], along[0] = torch.tensor([0.15, 0.1], **DOUBLE), 1.0
    left, right = phase(0.0)._replace(q=0 * wide, p=along), phase(0.0)._replace(q=wide, p=along)
    assert not kernel._turns(left, right, 0.15)
    assert kernel._turns(left, right._replace(p=-along), 0.15)


def test_summary_says_what_pyro_says(capsys):
    run(lambda: pyro.sample("x", SphericalUniform(2)), samples=20, warmup=20).summary()
    out = capsys.readouterr().out
    assert "x[2]" in out
    assert "Number of divergences: 0" in out


def test_plates_and_batch_shapes():
    def model():
        with pyro.plate("outer", 2, dim=-2), pyro.plate("inner", 3, dim=-1):
            pyro.sample("x", VonMisesFisher(torch.tensor([1.0, 0.0]), 5.0))
            pyro.sample("angle", dist.VonMises(0.0, 3.0))
        with pyro.plate("rows", 4):
            pyro.sample("s", dist.Dirichlet(torch.ones(3)))
            pyro.sample("angles", dist.VonMises(torch.zeros(2), 3.0).to_event(1))

    draws = run(model, samples=30, warmup=30).get_samples()
    shapes = {name: tuple(value.shape[1:]) for name, value in draws.items()}
    assert shapes == {"x": (2, 3, 2), "angle": (2, 3), "s": (4, 3), "angles": (4, 2)}
    assert (draws["x"].norm(dim=-1) - 1).abs().max() < 1e-6
    assert (draws["s"].sum(-1) - 1).abs().max() < 1e-6


def test_points_of_a_product_space():
    law = product_law()
    x = run(lambda: pyro.sample("x", law), samples=200, warmup=100).get_samples()["x"]
    assert law.manifold.belongs(x).all()
    assert_means(moments(law.manifold.split(x)[2])[:, :4], [0, 0, 0.1, 0])


def test_chains_one_after_the_other_and_pickling():
    def model():
        pyro.sample("x", SphericalUniform(2))
        pyro.sample("slope", dist.Normal(0.0, 1.0))

    start = {"x": torch.eye(3)[:2], "slope": torch.zeros(2)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="num_chains=2 is more")  # on a machine of two processors
        mcmc = run(model, samples=20, warmup=20, chains=2, initial_params=start)
    draws = mcmc.get_samples(group_by_chain=True)
    assert draws["x"].shape == (2, 20, 3)
    assert not torch.equal(draws["x"][0], draws["x"][1])
    assert mcmc.diagnostics()["x"]["r_hat"].shape == (3,)
    kernel = pickle.loads(pickle.dumps(GeodesicNUTS(wind, target_accept_prob=0.9)))
    assert run(kernel.model, torch.zeros(1), samples=3, warmup=3).get_samples()["start"].shape == (3, 3)


@pytest.mark.slow
def test_discrete_sites_are_summed_out():
    def model():
        z = pyro.sample("z", dist.Bernoulli(torch.tensor(0.25)), infer={"enumerate": "parallel"})
        x = pyro.sample("x", SphericalUniform(2))
        pyro.factor("side", 3 * (2 * z - 1) * x[..., 2])

    x = run(model, samples=300, warmup=100, max_plate_nesting=0).get_samples()["x"]
    coth = 1 / math.tanh(3) - 1 / 3
    assert_means(x, [0, 0, -0.5 * coth])


def test_kernels_start_where_they_are_told():
    def model():
        pyro.sample("x", SphericalUniform(2))
        pyro.sample("angle", dist.VonMises(0.0, 1.0))
        pyro.sample("s", dist.Dirichlet(torch.ones(3)))
        pyro.sample("kappa", dist.Gamma(1.0, 1.0))

    start = {
        "x": torch.tensor([0.6, 0.0, -0.8]),
        "angle": torch.tensor(-2.5),
        "s": torch.tensor([0.2, 0.3, 0.5]),
        "kappa": torch.tensor(0.7),
    }
    kernel = GeodesicNUTS(model)
    kernel.initial_params = start
    kernel.setup(0)
    for name, value in kernel.initial_params.items():
        torch.testing.assert_close(value, start[name])
    kernel = GeodesicHMC(model, init_strategy=init_to_value(values={"angle": start["angle"]}))
    kernel.setup(0)
    torch.testing.assert_close(kernel.initial_params["angle"], start["angle"])
    bad = {
        "x": (torch.tensor([1.0, 1.0, 0.0]), "points off it"),
        "angle": (torch.tensor(4.0), "points off it"),
        "s": (torch.tensor([0.5, 0.6, 0.1]), "points off it"),
        "kappa": (torch.zeros(2), "unconstrained values of shape"),
    }
    for name, (value, words) in bad.items():
        kernel.initial_params = start | {name: value}
        with pytest.raises(ValueError, match=words):
            kernel.setup(0)
    kernel.initial_params = {"x": start["x"]}
    with pytest.raises(ValueError, match="latent sites"):
        kernel.setup(0)


def test_compiled_potentials_agree():
    found = []
    for jit in (False, True):
        pyro.set_rng_seed(0)
        kernel = GeodesicNUTS(many, jit_compile=jit)
        with pyro.validation_enabled(False):
            kernel.setup(0)
            q = kernel._target.start
            found.append(kernel._target.energy_and_gradient(q))
    assert found[0][0] == pytest.approx(found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_sites_can_be_kept_flat():
    def model():
        pyro.sample("s", dist.Dirichlet(torch.tensor([0.3, 0.5, 2.0])))

    kernel = GeodesicNUTS(model, flat=["s"])
    kernel.setup(0)
    assert kernel.inverse_mass.shape == (2,)
    assert set(kernel.transforms) == {"s"}
    with pytest.raises(ValueError, match="flat: expected names"):
        GeodesicNUTS(model, flat=["x"]).setup(0)
    with pytest.raises(TypeError, match="flat: expected a list"):
        GeodesicNUTS(model, flat="s")


def test_how_sites_move():
    vectors = torch.eye(3)
    space = Product([Hypersphere(2), Simplex(2), Torus(2)])
    cases = {
        Directions: [
            VonMisesFisher(vectors[0], 1.0),
            FisherBingham(vectors[0], vectors),
            dist.ProjectedNormal(vectors[0]),
            VonMisesFisher(vectors, 1.0).to_event(1),
            dist.MixtureSameFamily(dist.Categorical(torch.ones(3)), VonMisesFisher(vectors, 1.0)),
        ],
        Circles: [
            dist.VonMises(0.0, 1.0),
            dist.VonMises(torch.zeros(2), 1.0).to_event(1),
            dist.VonMises(0.0, 1.0).mask(torch.tensor(True)),
            VonMises(torch.zeros(2), 1.0),
            dist.SineBivariateVonMises(0.0, 0.0, 1.0, 1.0, 0.1),
        ],
        Roots: [Dirichlet(torch.ones(3)), dist.Dirichlet(torch.ones(3))],
        Joined: [product_law()],
        Flat: [WrappedNormal(Euclidean(2), torch.zeros(2), 1.0)],
        type(None): [dist.Normal(0.0, 1.0), dist.Gamma(1.0, 1.0), dist.LKJCholesky(3)],
    }
    for kind, laws in cases.items():
        for law in laws:
            assert type(motion_of(law)) is kind, law
    for law in [laws[0] for kind, laws in cases.items() if kind is not type(None)]:
        motion, point = motion_of(law), law.sample()
        torch.testing.assert_close(motion.inv(motion(point)), point)
        assert sum(size for size, _ in motion.parts(motion(point).shape[-1])) == motion(point).shape[-1]
    assert space.belongs(motion_of(Somewhere(space)).random(torch.zeros(5, 8))).all()


class Somewhere(dist.TorchDistribution):
    arg_constraints: ClassVar[dict] = {}
    support = constraints.real_vector

    def __init__(self, manifold):
        self.manifold = manifold
        super().__init__(torch.Size(), torch.Size(manifold.shape))


def test_refusals():
    GeodesicNUTS(many, target_accept_prob=0.9, max_tree_depth=5)
    with pytest.raises(TypeError, match="model: expected a Pyro model"):
        GeodesicNUTS(None)
    with pytest.raises(ValueError, match="target_accept_prob"):
        GeodesicHMC(many, target_accept_prob=1.5)
    with pytest.raises(ValueError, match="max_tree_depth"):
        GeodesicNUTS(many, max_tree_depth=0)
    with pytest.raises(TypeError, match="num_steps: expected only by GeodesicHMC"):
        GeodesicNUTS(many, num_steps=3)
    with pytest.raises(ValueError, match="nothing to sample"):
        GeodesicNUTS(lambda: None).setup(0)
    with pytest.raises(ValueError, match="finite density"):
        GeodesicNUTS(lambda: pyro.factor("no", pyro.sample("x", SphericalUniform(2)).sum() - math.inf)).setup(0)
    with pytest.raises(ValueError, match="discrete sample site 'n'"):
        GeodesicNUTS(lambda: pyro.sample("n", dist.Poisson(2.0))).setup(0)

    def subsampled():
        with pyro.plate("rows", 10, subsample_size=2):
            pyro.sample("x", SphericalUniform(2))

    with pytest.raises(NotImplementedError, match="subsample"):
        GeodesicNUTS(subsampled).setup(0)
