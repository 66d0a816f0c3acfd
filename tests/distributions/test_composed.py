"""Ensembles, joint laws, laws taken apart: sums and products by hand, weights by a search, draws by their shares."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.distributions import Categorical, Independent, Normal

from manifoldflow.distributions import (
    Dirichlet,
    Ensemble,
    Gaussian,
    InChart,
    Joint,
    KernelDensity,
    Mixture,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    VonMisesFisherAngle,
    Watson,
    law_of,
    mix_densities,
)
from manifoldflow.distributions.composed import ensemble
from manifoldflow.distributions.composed.parts import parts_of
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

F64 = torch.float64
NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=F64)


def two():
    return [SphericalUniform(2, dtype=F64), VonMisesFisher(NORTH, 50.0)]


def test_an_ensemble_is_the_sum_of_its_densities():
    law = Ensemble(two(), torch.tensor([1.0, 3.0], dtype=F64))
    torch.testing.assert_close(law.weights, torch.tensor([0.25, 0.75], dtype=F64))
    x = law.sample((7, 2))
    assert x.shape == (7, 2, 3)
    sums = 0.25 / (4 * math.pi) + 0.75 * two()[1].log_prob(x).exp()
    torch.testing.assert_close(law.log_prob(x).exp(), sums)
    assert repr(law) == "Ensemble(0.25 SphericalUniform, 0.75 VonMisesFisher)"
    assert law.expand((4, 7, 2)).log_prob(x).shape == (4, 7, 2)
    assert law.expand((4,)).sample((5,)).shape == (5, 4, 3)
    assert law.sample((0,)).shape == (0, 3)
    assert repr(law.manifold) == "Hypersphere(2)"
    assert law.support.check(x).all()
    assert (law.log_prob(x.float()).dtype, law.log_prob(x).dtype) == (torch.float32, F64)


def test_draws_of_an_ensemble_are_of_each_law_by_its_weight_in_any_order():
    torch.manual_seed(0)
    law = Ensemble([VonMisesFisher(NORTH, 1e6), VonMisesFisher(-NORTH.float(), 1e6)], torch.tensor([1.0, 4.0]))
    x = law.sample((20_000,))
    up = x[:, 2] > 0
    assert up.double().mean().item() == pytest.approx(0.2, abs=0.012)
    assert up[:10_000].double().mean().item() == pytest.approx(0.2, abs=0.017)
    assert x.dtype == F64
    assert Hypersphere(2).belongs(x).all()  # float32 draws are brought onto the sphere of float64


class Solved:
    """A law with a solver."""

    event_shape, batch_shape = torch.Size([3]), torch.Size()

    def __init__(self, tolerance):
        self.tolerance = tolerance

    def log_prob(self, x):
        return x[..., 0] * 0

    def sample(self, shape):
        return torch.zeros(*shape, 3)

    def with_tolerance(self, tolerance):
        return Solved(tolerance)

    def parameters(self):
        return [torch.ones(1)]


def test_tolerances_and_parameters_of_an_ensemble():
    law = Ensemble([*two(), Solved(1e-3), Solved(1e-5)], torch.ones(4))
    assert law.tolerance == 1e-3
    finer = law.with_tolerance(1e-7)
    assert [getattr(one, "tolerance", None) for one in finer.laws] == [None, None, 1e-7, 1e-7]
    assert len(law.parameters()) == 2
    assert Ensemble(two(), torch.ones(2)).tolerance is None


@pytest.mark.parametrize("block", [7, 4096])
def test_weights_are_those_of_the_largest_likelihood(block, monkeypatch):
    monkeypatch.setattr(ensemble, "_BLOCK", block)
    torch.manual_seed(0)
    x = torch.cat([two()[0].sample((30,)), two()[1].sample((70,))])
    logs = torch.stack([law.log_prob(x) for law in two()], -1)

    def loss(w):
        return -float((logs + torch.tensor([1 - w, w], dtype=F64).log()).logsumexp(-1).mean())

    best = minimize_scalar(loss, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-10})
    law = mix_densities(two(), x, tolerance=1e-10)
    assert law.weights[1].item() == pytest.approx(best.x, abs=1e-4)
    assert mix_densities(two(), x).log_prob(x).mean().item() == pytest.approx(-best.fun, abs=2e-6)
    coarse = mix_densities(two(), x, tolerance=0.05)
    assert -best.fun - 0.05 <= coarse.log_prob(x).mean().item() <= -best.fun
    shares = (logs.exp() / logs.exp().mean(-1, keepdim=True)).mean(0) / 2  # one step from equal weights
    torch.testing.assert_close(mix_densities(two(), x, iterations=1).weights, shares)


@pytest.mark.parametrize(
    ("laws", "weights", "error", "match"),
    [
        ([], torch.ones(0), TypeError, "laws: expected a list"),
        (two()[0], torch.ones(1), TypeError, "laws: expected a list"),
        (two(), torch.ones(3), ValueError, "weights: expected 2 nonnegative numbers"),
        (two(), torch.tensor([1.0, -1.0]), ValueError, "weights: expected 2"),
        (two(), torch.zeros(2), ValueError, "weights: expected 2"),
        ([two()[0], Gaussian(torch.zeros(2))], torch.ones(2), ValueError, r"laws\[1\]: expected event shape \(3,\)"),
        ([two()[0], two()[1].expand((2,))], torch.ones(2), ValueError, r"laws\[1\]: .* no batch shape"),
    ],
)
def test_what_is_no_ensemble(laws, weights, error, match):
    with pytest.raises(error, match=match):
        Ensemble(laws, weights)


def test_points_without_a_density_are_refused():
    laws = [Dirichlet(torch.tensor([2.0, 2.0], dtype=F64))] * 2
    inside, edge = torch.tensor([[0.5, 0.5], [0.0, 1.0]], dtype=F64).split(1)
    assert mix_densities(laws, inside).weights.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"points: expected finite log densities .* at row 1"):
        mix_densities(laws, torch.cat([inside, edge]))
    for wrong in (inside[0], inside[:0], torch.ones(2, 3)):
        with pytest.raises(ValueError, match="points: expected shape"):
            mix_densities(laws, wrong)
    for options in ({"tolerance": 0.0}, {"iterations": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
            mix_densities(laws, inside, **options)


def test_a_joint_law_is_the_product_of_its_factors():
    space = Product([Hypersphere(2), Torus(2), Simplex(1), Euclidean(1)])
    laws = [two()[1], VonMises(torch.zeros(4, 2, dtype=F64), torch.ones(2, dtype=F64)),
            Dirichlet(torch.ones(2, dtype=F64)), Gaussian(torch.zeros(1, dtype=F64))]  # fmt: skip
    law = Joint(laws, space)
    assert law.batch_shape == (4,)
    assert law.event_shape == (8,)
    assert law.has_rsample
    x = law.sample((3,))
    assert x.shape == (3, 4, 8)
    assert space.belongs(x).all()
    parts = [x[..., :3], x[..., 3:5], x[..., 5:7], x[..., 7:]]
    torch.testing.assert_close(law.log_prob(x), sum(one.log_prob(part) for one, part in zip(laws, parts)))
    assert law.expand((2, 4)).sample().shape == (2, 4, 8)
    assert law.expand((2, 4)).log_prob(x[0]).shape == (2, 4)
    assert repr(Joint(laws[2:]).manifold.factors) == repr((Simplex(1), Euclidean(1)))
    assert not Joint([Watson(NORTH, 1.0), laws[3]]).has_rsample
    assert law_of(Joint(laws[2:])).is_convex
    assert not law_of(Joint([laws[0], laws[3]])).is_convex
    assert law_of(Joint(laws[2:])).title == "Dirichlet and Gaussian"
    assert law_of(Joint([laws[0], laws[3]])).has_lift
    assert not law_of(Joint([Watson(NORTH, 1.0), laws[3]])).has_lift
    with pytest.raises(TypeError, match="laws: expected a list"):
        Joint(laws[0])
    with pytest.raises(ValueError, match="laws: expected at least one"):
        Joint([])
    with pytest.raises(TypeError, match=r"laws\[1\]: expected a distribution of vectors with a manifold"):
        Joint([laws[0], Normal(0.0, 1.0)])
    with pytest.raises(ValueError, match=r"laws: expected points of shapes \[\(3,\), \(2,\)"):
        Joint(laws[:2], space)


LAWS = [
    VonMisesFisher(NORTH, torch.tensor(2.0, dtype=F64)),
    VonMisesFisherAngle(torch.tensor(2.0, dtype=F64), 5),
    Dirichlet(torch.tensor([1.0, 2.0], dtype=F64)),
    Gaussian(torch.zeros(2, dtype=F64), 2.0),
    Independent(Normal(torch.zeros(2, dtype=F64), 3.0), 1),
    Mixture(Categorical(torch.tensor([0.3, 0.7], dtype=F64)), VonMisesFisher(torch.eye(3)[:2].double(), 4.0)),
    Ensemble(two(), torch.tensor([1.0, 3.0], dtype=F64)),
    Joint([two()[1], Gaussian(torch.zeros(1, dtype=F64))]),
    KernelDensity(torch.eye(3, dtype=F64), 0.3, weights=torch.tensor([1.0, 2, 3]), uniform_share=0.1),
    SphericalUniform(2, dtype=F64),
    torch.distributions.MultivariateNormal(torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64)),
    InChart(two()[1]),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_laws_taken_apart_and_built_again(law):
    def again(one):
        parts = parts_of(one)
        laws = {name: again(other) for name, other in parts.laws.items()}
        return parts.build(**{name: t.clone() for name, t in parts.tensors.items()}, **laws, **parts.modules)

    torch.manual_seed(0)
    x = law.sample((5,))
    built = again(law)
    assert type(built) is type(law)
    torch.testing.assert_close(built.log_prob(x), law.log_prob(x))
    constant = not (parts_of(law).tensors or parts_of(law).laws)
    assert constant == isinstance(law, InChart)
