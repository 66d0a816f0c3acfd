"""Certificates: right figures where they are known, and what would make a figure worthless shows."""

import math

import pytest
import torch

import manifoldflow as mf
from manifoldflow.distributions import KernelDensity, SphericalUniform
from manifoldflow.evaluation import certify, has_quadrature, highest_density_region, quadrature
from manifoldflow.flows import FlowMatching
from manifoldflow.manifolds import Hypersphere, Simplex, Torus

LAW = mf.VonMisesFisher(torch.eye(3, dtype=torch.float64)[0], torch.tensor(5.0, dtype=torch.float64))


class Scaled(torch.distributions.Distribution):
    """A law whose density was multiplied by a factor."""

    def __init__(self, law, factor):
        self.law, self.factor, self.manifold = law, factor, law.manifold
        super().__init__(torch.Size(), law.event_shape, validate_args=False)

    def sample(self, shape=()):
        return self.law.sample(shape)

    def log_prob(self, value):
        return self.law.log_prob(value) + math.log(self.factor)


@pytest.mark.parametrize(
    ("space", "volume"),
    [
        (Hypersphere(1), 2 * math.pi),
        (Hypersphere(2), 4 * math.pi),
        (Torus(1), 2 * math.pi),
        (Torus(2), 4 * math.pi**2),
        (Simplex(1), 1.0),
        (Simplex(2), 0.5),
    ],
    ids=repr,
)
def test_weights_add_up_to_the_volume_and_points_lie_on_the_space(space, volume):
    points, weights = quadrature(space, 12)
    assert float(weights.sum()) == pytest.approx(volume, rel=1e-13)
    assert space.belongs(points).all()


def test_quadrature_is_exact_for_polynomials():
    """Second moments of the uniform law on S^2 are 1/3; E[s_1 s_2^2] of Dirichlet(1, 1, 1) is 2 / (3 4 5)."""
    points, weights = quadrature(Hypersphere(2), 6)
    moments = torch.einsum("m,mi,mj->ij", weights, points, points) / (4 * math.pi)
    torch.testing.assert_close(moments, torch.eye(3, dtype=torch.float64) / 3)
    points, weights = quadrature(Simplex(2), 6)
    assert float((2 * weights * points[:, 0] * points[:, 1] ** 2).sum()) == pytest.approx(2 / 60)


def test_spaces_without_a_rule_are_refused():
    assert has_quadrature(Hypersphere(2))
    assert not has_quadrature(Hypersphere(3))
    with pytest.raises(ValueError, match="space: expected a sphere or torus"):
        quadrature(Hypersphere(3), 5)


def test_figures_of_a_known_law():
    points = LAW.sample((4000,))
    found = certify(
        LAW, points[:3000], train=points[3000:], name="truth", control=SphericalUniform(2), control_name="uniform"
    )
    assert abs(found.nll.value - float(LAW.entropy())) < 4 * found.nll.error
    assert found.mass.value == pytest.approx(1, abs=1e-9)
    assert found.mass_by == "quadrature"
    assert found.copies == 0
    assert found.nll_without_copies == found.nll
    assert found.control.value == pytest.approx(math.log(4 * math.pi), rel=1e-6)
    text = str(found)
    assert text.startswith("truth: ")
    assert all(part in text for part in ("integral 1.0000", "uniform 2.531", found.split, "3,000 held-out points"))


@pytest.mark.parametrize("dim", [2, 4])
def test_a_density_that_is_not_one_shows(dim):
    law = mf.VonMisesFisher(torch.eye(dim + 1)[0], torch.tensor(5.0))
    points = law.sample((100,))
    for factor in (1.0, 2.0):
        found = certify(Scaled(law, factor), points[:50], train=points[50:])
        assert found.mass_by == ("quadrature" if dim == 2 else "importance sampling")
        assert abs(found.mass.value - factor) < max(5 * found.mass.error, 1e-5)
        assert found.mass.error < 0.05


@pytest.mark.parametrize("widths", [2e-3, 1e-5, torch.tensor([1e-5, 0.3]).repeat(30)])
def test_sharp_densities_are_integrated_by_importance_sampling(widths):
    """Peaks between the nodes are missing from a quadrature of any order: two orders agree, and both are wrong."""
    torch.manual_seed(0)
    points = LAW.sample((60,))
    sharp = KernelDensity(points, widths)
    found = certify(sharp, points[:10], train=points[10:])
    assert found.mass_by == "importance sampling"
    assert found.mass.error < 0.1
    assert abs(found.mass.value - 1) < 5 * found.mass.error


def test_an_integral_that_cannot_be_found_is_unknown():
    """In 200 dimensions no draw of a smoothed copy lies where the law has its mass; in 4 many do."""
    torch.manual_seed(0)
    for dim, found_out in ((4, True), (200, False)):
        north = torch.eye(dim + 1, dtype=torch.float64)[0]
        law = mf.VonMisesFisher(north, torch.tensor(20.0 * dim, dtype=torch.float64))
        found = certify(law, law.sample((20,)), train=law.sample((20,)), samples=2000)
        assert (found.mass is not None) == found_out
        assert ("integral unknown" in str(found)) != found_out
        assert type(found).from_json(found.to_json()) == found


def test_copies_are_counted_and_left_out():
    train = LAW.sample((50,))
    fresh = LAW.sample((30,))
    found = certify(LAW, torch.cat([fresh, train[:10]]), train=train)
    alone = certify(LAW, fresh, train=train)
    assert found.copies == 0.25
    assert found.nll_without_copies == alone.nll
    assert certify(LAW, train[:5], train=train).nll_without_copies is None
    assert "none left" in str(certify(LAW, train[:5], train=train))


def test_splits_have_names_of_their_own():
    points = LAW.sample((20,))
    one, same, other = (certify(LAW, points[a:], train=points[:b]).split for a, b in ((10, 10), (10, 10), (11, 11)))
    assert one == same != other


def test_a_solvers_tolerance_and_its_effect_are_told():
    torch.manual_seed(0)
    flow = FlowMatching(Torus(1))
    torch.nn.init.normal_(flow.field.last.weight, std=0.05)
    points = flow.base.sample((60,))
    found = certify(flow.distribution(), points[:20], train=points[20:], samples=100)
    assert found.tolerance == flow.tolerance
    assert abs(found.tolerance_effect) < 1e-3
    assert found.parameters == sum(p.numel() for p in flow.parameters())
    assert "solver tolerance" in str(found)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_highest_density_regions_cover_their_level(level):
    region = highest_density_region(LAW, level, samples=20_000)
    cover = region.coverage(LAW.sample((4000,)))
    assert abs(cover.value - level) < 5 * cover.error
    # Of a law that falls with the angle the region is the cap around the mean.
    angle = mf.distributions.VonMisesFisherAngle(LAW.concentration, 3).icdf(torch.tensor(level, dtype=torch.float64))
    edge = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)])
    assert region.log_threshold == pytest.approx(float(LAW.log_prob(edge)), abs=0.2)


BAD = {
    "law": (lambda x: certify(3, x, train=x), TypeError, "distribution: expected one with log_prob"),
    "shape": (lambda x: certify(LAW, x[:, :2], train=x), ValueError, r"held_out: expected shape \(N, 3\)"),
    "one": (lambda x: certify(LAW, x[:1], train=x), ValueError, "held_out: expected at least two"),
    "nan": (
        lambda x: certify(Scaled(LAW, math.nan), x, train=x),
        ValueError,
        "distribution: expected log densities below infinity",
    ),
    "level": (lambda x: highest_density_region(LAW, 1.0), ValueError, "level: expected a share"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    x = LAW.sample((10,))
    assert certify(LAW, x[:5], train=x[5:], samples=100)
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call(x)
