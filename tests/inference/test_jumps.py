"""Jumps to antipodes: opposite modes get their shares, and one-sided laws and compositions do without."""

import pyro
import pytest
import torch
from pyro.infer import MCMC

from manifoldflow.distributions import Dirichlet, SphericalUniform, VonMises, VonMisesFisher
from manifoldflow.evaluation import quadrature
from manifoldflow.inference import GeodesicHMC, GeodesicNUTS
from manifoldflow.inference.geodesic import Geodesics, Site
from manifoldflow.inference.jumps import Jumps
from manifoldflow.manifolds import Hypersphere

MATRIX = torch.tensor([[3.0, 0.75, 0.0], [0.75, -1.5, 0.45], [0.0, 0.45, -1.5]], dtype=torch.float64)
LINEAR = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64)


def log_density(x):
    """Two modes that face each other, one e times as high as the other, and little between them."""
    return ((x @ MATRIX) * x).sum(-1) + x @ LINEAR


def two_modes():
    x = pyro.sample("x", SphericalUniform(2, dtype=torch.float64))
    pyro.factor("two modes", log_density(x))


def run(kernel, draws, warmup=200):
    pyro.set_rng_seed(0)
    mcmc = MCMC(kernel, num_samples=draws, warmup_steps=warmup, disable_progbar=True)
    mcmc.run()
    return mcmc.get_samples()


@pytest.mark.parametrize("kind", [GeodesicHMC, GeodesicNUTS])
def test_opposite_modes_get_their_shares(kind):
    nodes, weights = quadrature(Hypersphere(2), 60)
    nodes, weights = nodes.double(), weights.double()
    density = weights * log_density(nodes).exp()
    density = density / density.sum()
    x = run(kind(two_modes, jit_compile=True), 1000)["x"]
    assert (x.mean(0) - density @ nodes).abs().max() < 0.08
    assert (x.mT @ x / len(x) - nodes.mT @ (density[:, None] * nodes)).abs().max() < 0.05
    assert (x.norm(dim=-1) - 1).abs().max() < 1e-12


def kept(model):
    kernel = GeodesicHMC(model, jit_compile=True)
    kernel.setup(100)
    params = kernel.initial_params
    for _ in range(101):
        params = kernel.sample(params)
    return kernel._jumps.kept


def test_they_are_kept_where_modes_face_each_other_only():
    pyro.set_rng_seed(0)
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert kept(two_modes)
    assert not kept(lambda: pyro.sample("x", VonMisesFisher(axis, 100.0)))
    assert not kept(lambda: pyro.sample("x", SphericalUniform(2, dtype=torch.float64)))  # paths go there by themselves
    assert not kept(lambda: pyro.sample("x", Dirichlet(torch.ones(3, dtype=torch.float64))))
    assert not kept(lambda: pyro.sample("x", pyro.distributions.Normal(0.0, 1.0)))


def test_one_point_of_many_jumps():
    sites = {"a": Site(torch.Size((4, 3)), torch.float64, ((3, True),)), "b": Site(torch.Size((2,)), torch.float64)}
    geodesics = Geodesics(sites, torch.device("cpu"))
    q = torch.arange(1.0, geodesics.size + 1)
    seen = set()
    for _ in range(200):
        point, other = Jumps(geodesics).choose(q)
        assert torch.equal((other != q).nonzero().flatten(), torch.arange(geodesics.size)[point])
        assert torch.equal(other[point], -q[point])
        seen.add(point.start)
    assert len(seen) == 4


def test_angles_jump_by_half_a_turn():
    def model():
        angle = pyro.sample("angle", VonMises(torch.zeros(1).double(), torch.zeros(1).double()))
        pyro.factor("two modes", 5.0 * (2 * angle[0]).cos())

    angles = run(GeodesicHMC(model, jit_compile=True), 150, 60)["angle"]
    assert 0.3 < (angles.cos() > 0).double().mean() < 0.7


@pytest.mark.parametrize(
    ("accepted", "crossed", "kept"),
    [(0.9, 0, False), (1.1, 0, True), (2.9, 1, False), (3.1, 1, True), (50.0, 20, False), (50.0, 10, True)],
)
def test_jumps_stay_if_one_in_a_hundred_is_accepted_and_thrice_as_many_as_paths_cross(accepted, crossed, kept):
    sites = {"a": Site(torch.Size((3,)), torch.float64, ((3, True),))}
    jumps = Jumps(Geodesics(sites, torch.device("cpu")))
    assert not jumps.kept
    for i in range(100):
        jumps.note(accepted / 100, i < crossed)
    jumps.decide()
    assert jumps.kept == kept


def test_flat_sites_have_no_antipode():
    geodesics = Geodesics({"b": Site(torch.Size((2,)), torch.float64)}, torch.device("cpu"))
    assert Jumps(geodesics).choose(torch.zeros(2)) is None
