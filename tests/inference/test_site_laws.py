"""Laws that guides give to sites: where they start, their middles and quantiles, places, and the quality of a guide."""

import math

import pyro
import pytest
import torch
from scipy import stats
from torch.distributions import constraints

from manifoldflow.distributions import Dirichlet, Gaussian, VonMises, VonMisesFisher
from manifoldflow.inference import AutoManifoldFlow, AutoVonMisesFisher, guide_quality
from manifoldflow.inference.motion import Circles, Directions, Flat, Roots
from manifoldflow.inference.placed import pieces_of, place_on
from manifoldflow.inference.site_laws import cap_radius, family_of, normal_through
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

F64 = torch.float64
LEVELS = torch.tensor([0.05, 0.5, 0.9], dtype=F64)


def begun(space, scale, count=4):
    """The family of a space, points of it, and its law before training."""
    torch.manual_seed(0)
    points = space.random_point(count, dtype=F64)
    family = family_of(space)
    values = {name: start.value for name, start in family.start(points, scale).items()}
    for start in family.start(points, scale).values():
        assert start.constraint.check(start.value).all()
    return family, points, family.law(**values), values


@pytest.mark.parametrize("scale", [0.1, 0.7])
def test_laws_start_at_the_points_with_the_spread_asked_for(scale):
    family, points, law, values = begun(Hypersphere(3), scale)
    assert isinstance(law, VonMisesFisher)
    torch.testing.assert_close(law.loc, points)
    torch.testing.assert_close(law.concentration, torch.full((4,), scale**-2, dtype=F64))
    assert torch.equal(family.centre(**values), points)
    family, points, law, values = begun(Torus(2), scale)
    assert isinstance(law, VonMises)
    torch.testing.assert_close(values["concentration"], torch.full((4, 2), scale**-2, dtype=F64))
    torch.testing.assert_close(family.centre(**values), points)
    family, points, law, values = begun(Euclidean(2), scale)
    assert isinstance(law, Gaussian)
    torch.testing.assert_close(values["scale"], torch.full((4, 2), scale, dtype=F64))
    torch.testing.assert_close(family.centre(**values), points)
    family, points, law, values = begun(Simplex(2), scale)
    assert isinstance(law, Dirichlet)
    total = max(3, scale**-2)  # of variances about s (1 - s) scale^2, and no concentration below 1/2
    torch.testing.assert_close(law.concentration, total * (points + 1 / 3) / 2)
    torch.testing.assert_close(family.centre(**values), (points + 1 / 3) / 2)
    space = Product([Hypersphere(2), Torus(1), Euclidean(2)])
    family, points, law, values = begun(space, scale)
    assert set(values) == {"loc_0", "concentration_0", "loc_1", "concentration_1", "loc_2", "scale_2"}
    torch.testing.assert_close(family.centre(**values), points)
    a, b, c = space.split(points)
    parts = [
        VonMisesFisher(a, values["concentration_0"]).log_prob(a),
        VonMises(b, values["concentration_1"]).log_prob(b),
        Gaussian(c, values["scale_2"]).log_prob(c),
    ]
    torch.testing.assert_close(law.log_prob(points), sum(parts))
    with pytest.raises(ValueError, match="space: expected a sphere"):
        family_of(object())


def test_quantiles_of_numbers_and_angles():
    loc, scale = torch.tensor([[1.0, -2.0]], dtype=F64), torch.tensor([[0.5, 3.0]], dtype=F64)
    found = family_of(Euclidean(2)).quantiles(LEVELS, loc=loc, scale=scale)
    torch.testing.assert_close(found, torch.from_numpy(stats.norm.ppf(LEVELS[:, None, None], loc, scale)))
    found = family_of(Torus(2)).quantiles(LEVELS, loc=torch.zeros(1, 2, dtype=F64), concentration=scale)
    torch.testing.assert_close(found, torch.from_numpy(stats.vonmises.ppf(LEVELS[:, None, None], scale)))
    assert family_of(Hypersphere(2)).quantiles is family_of(Simplex(2)).quantiles is None


@pytest.mark.parametrize("support", [constraints.positive, constraints.unit_interval, constraints.real])
def test_other_sites_have_normals_through_a_bijection(support):
    family = normal_through(support, 0)
    points = torch.tensor([0.2, 0.7], dtype=F64)
    values = {name: start.value for name, start in family.start(points, 0.3).items()}
    assert values["scale"].tolist() == [0.3, 0.3]
    torch.testing.assert_close(family.centre(**values), points)
    law = family.law(**values)
    cdf = torch.stack([law.cdf(q) for q in family.quantiles(LEVELS, **values)])
    torch.testing.assert_close(cdf, LEVELS[:, None].expand(3, 2))


def test_sites_of_vectors_count_their_coordinates():
    family = normal_through(constraints.real_vector, 1)
    start = family.start(torch.zeros(5, 3), 1.0)
    assert (start["loc"].event_dim, start["scale"].event_dim) == (1, 1)
    assert family.law(torch.zeros(5, 3), torch.ones(5, 3)).event_shape == (3,)
    assert family.quantiles is not None
    simplex = normal_through(constraints.simplex, 1)
    assert simplex.quantiles is None  # its coordinates have no order of their own
    assert simplex.law(torch.zeros(5, 2), torch.ones(5, 2)).event_shape == (3,)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_caps_hold_their_probability(level):
    kappa = torch.tensor([0.5, 20.0], dtype=F64)
    cosine = cap_radius(kappa, 3, level).cos()
    # on S^2 the probability of a larger cosine is (e^(k - k c) - e^(-2 k)) / (1 - e^(-2 k)) of the rest
    rest = torch.expm1(-kappa * (1 - cosine)) / torch.expm1(-2 * kappa)
    torch.testing.assert_close(rest, torch.full((2,), level, dtype=F64))


@pytest.mark.parametrize("angle", [0.2, 1.0, math.pi / 2, 2.0])
def test_a_dilation_brings_half_of_a_uniform_law_within_an_angle(angle):
    space = Hypersphere(2)
    torch.manual_seed(0)
    loc, z = space.random_point(dtype=F64), space.random_point(20_000, dtype=F64)
    values = {name: start.value for name, start in place_on(space).start(loc, angle).items()}
    moved, ladj = place_on(space).move(z, **values)
    within = (space.metric.dist(moved, loc.expand_as(moved)) < min(angle, math.pi / 2)).double().mean()
    assert within.item() == pytest.approx(0.5, abs=0.015)
    share = ladj.exp()  # areas of the images add up to the sphere
    assert share.mean().item() == pytest.approx(1, abs=4 * share.std().item() / 20_000**0.5)
    turn, circle = Torus(1).random_point(20_000, dtype=F64), place_on(Torus(1))
    values = {name: start.value for name, start in circle.start(torch.zeros(1, dtype=F64), angle).items()}
    moved, _ = circle.move(turn, **values)
    assert (moved.abs() < min(angle, math.pi / 2)).double().mean().item() == pytest.approx(0.5, abs=0.015)


def test_up_to_64_numbers_have_correlations_of_their_own():
    for dim in (64, 65):
        start = place_on(Euclidean(dim)).start(torch.zeros(2, dim), 0.3)
        assert ("mix" in start) == (dim == 64)
        assert start["scale"].value.unique().tolist() == [pytest.approx(0.3)]
    mix = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    loc, scale = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 4.0])
    moved, ladj = place_on(Euclidean(2)).move(torch.tensor([[3.0, 5.0]]), loc, scale, mix)
    assert moved.tolist() == [[2.5, 43.0]]
    torch.testing.assert_close(ladj, torch.tensor([math.log(2.0)]))


def test_middles_of_pieces():
    draws = torch.tensor([[0.0, 3.0], [1.0, -3.0], [9.0, 3.1]], dtype=F64)
    (numbers,) = pieces_of(Euclidean(2))
    assert numbers.middle(draws).tolist() == [1.0, 3.0]
    assert numbers.ordered
    (angles,) = pieces_of(Torus(2))
    found = angles.middle(draws)
    assert found[1].abs().item() == pytest.approx(math.pi, abs=0.15)  # not the mean of 3 and -3
    assert not angles.ordered
    (direction,) = pieces_of(Hypersphere(1))
    assert direction.middle(draws).tolist() == pytest.approx([10 / math.hypot(10, 3.1), 3.1 / math.hypot(10, 3.1)])
    assert [p.size for p in pieces_of(Product([Hypersphere(2), Torus(2), Simplex(3)]))] == [3, 2, 3]


def test_quality_by_importance_weights():
    """Of a normal law whose density is tilted by e^(a x): bound 0, error a / root n, effective share e^(-a^2)."""

    def model(tilt=0.5):
        x = pyro.sample("x", pyro.distributions.Normal(0.0, 1.0))
        pyro.factor("tilt", tilt * x)

    def guide(tilt=0.5):
        pyro.sample("x", pyro.distributions.Normal(0.0, 1.0))

    pyro.set_rng_seed(0)
    found = guide_quality(model, guide, draws=20_000)
    assert found.elbo == pytest.approx(0, abs=0.015)
    assert found.elbo_error == pytest.approx(0.5 / 20_000**0.5, rel=0.03)
    assert found.effective == pytest.approx(math.exp(-0.25), abs=0.02)
    same = guide_quality(model, guide, tilt=0.0, draws=2)
    assert (same.elbo, same.elbo_error, same.effective) == (0.0, 0.0, pytest.approx(1))
    assert guide_quality(model, guide).elbo_error == pytest.approx(0.5 / 1000**0.5, rel=0.15)
    with pytest.raises(ValueError, match="draws: expected an integer >= 2"):
        guide_quality(model, guide, draws=1)


def test_guides_start_as_their_pages_say():
    def model():
        pyro.sample("s", VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 2.0))
        pyro.sample("x", pyro.distributions.Normal(0.0, 1.0))

    pyro.clear_param_store()
    guide = AutoVonMisesFisher(model)
    guide()
    assert guide.laws.s.concentration.item() == pytest.approx(0.3**-2)
    assert guide.laws.x.scale.item() == pytest.approx(0.3)
    for level in (0.95, None):
        cap = guide.caps(level)["s"] if level else guide.caps()["s"]
        torch.testing.assert_close(cap, cap_radius(torch.tensor(0.3**-2), 3, 0.95), rtol=1e-4, atol=0)
    flow = AutoManifoldFlow(model)
    flow()
    assert flow.places.flow0.scale_1.item() == pytest.approx(1.0)
    assert flow.places.flow0.scale_0.item() == pytest.approx(math.tan(0.5))


def test_random_points_and_volumes_of_motions():
    torch.manual_seed(0)
    point = torch.zeros(20_000, 3, dtype=F64)
    ends = torch.finfo(F64).eps
    for motion, low, high in ((Circles(), -math.pi, math.pi), (Flat(), -2.0, 2.0)):
        drawn = motion.random(point)
        assert stats.kstest(((drawn - low) / (high - low)).flatten().numpy(), "uniform").pvalue > 1e-3
    assert (Directions().random(point).norm(dim=-1) - 1).abs().max() < 4 * ends
    drawn = Roots().random(point)
    assert (drawn.sum(-1) - 1).abs().max() < 8 * ends
    assert drawn.min() > 0.1  # far from every edge
    y = Roots()(drawn)
    torch.testing.assert_close(y.norm(dim=-1), torch.ones(20_000, dtype=F64))
    torch.testing.assert_close(Roots().log_abs_det_jacobian(drawn, y), -0.5 * drawn.log().sum(-1))
    assert Circles().parts(6) == ((2, True),) * 3
    assert Flat().parts(3) == ((3, False),)
    assert Directions().parts(3) == ((3, True),)
