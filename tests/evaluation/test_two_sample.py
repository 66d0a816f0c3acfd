"""The two-sample test: its level under one law, its power against others, its value from the definition."""

import math

import pytest
import torch
from scipy.stats import binom

import manifoldflow as mf
from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMises, VonMisesFisher
from manifoldflow.evaluation import TwoSampleTest, calibration, two_sample_test
from manifoldflow.evaluation.two_sample import _signs, flat_coordinates
from manifoldflow.manifolds import Product

NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
ALPHA = torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64)
ZERO = torch.zeros(2, dtype=torch.float64)
# On each space a law, and another of which 150 draws should be told from 150 of the first.
LAWS = {
    "sphere": (VonMisesFisher(NORTH, 5.0), VonMisesFisher(NORTH, 12.0)),
    "torus": (VonMises(ZERO, torch.ones_like(ZERO)), VonMises(ZERO + 0.7, torch.ones_like(ZERO))),
    "simplex": (Dirichlet(ALPHA), Dirichlet(2.5 * ALPHA)),
    "plane": (Gaussian(ZERO, torch.ones_like(ZERO)), Gaussian(ZERO, torch.full_like(ZERO, 1.6))),
}


def p_values(first, second, count, runs, **options):
    generator = torch.Generator().manual_seed(0)
    space = first.manifold
    return [
        two_sample_test(
            first.sample((count,)), second.sample((count,)), space=space, generator=generator, **options
        ).p_value
        for _ in range(runs)
    ]


@pytest.mark.parametrize("name", LAWS)
def test_level_and_power(name):
    """Of 100 tests at the level 0.1 of equal laws, a binomial number rejects (false alarms: 1 in 10,000)."""
    torch.manual_seed(1)
    law, other = LAWS[name]
    rejected = sum(p <= 0.1 for p in p_values(law, law, 40, 100, permutations=19))
    assert binom.ppf(5e-5, 100, 0.1) <= rejected <= binom.ppf(1 - 5e-5, 100, 0.1)
    assert max(p_values(law, other, 150, 5, permutations=99)) == 0.01


def test_value_by_its_definition():
    first, second = SphericalUniform(2).sample((7,)), SphericalUniform(2).sample((5,))
    found = two_sample_test(first, second, space=mf.Hypersphere(2), widths=[0.5], permutations=19)

    def mean(a, b):  # of the von Mises-Fisher kernel with concentration 1 / 0.5^2
        return float(torch.stack([(4 * (x @ y - 1)).exp() for x in a for y in b]).double().mean())

    expected = mean(first, first) + mean(second, second) - 2 * mean(first, second)
    assert found.mmd == pytest.approx(expected, abs=1e-6)
    assert found.counts == (7, 5)
    assert TwoSampleTest.from_json(found.to_json()) == found


def test_a_sample_and_itself():
    draws = SphericalUniform(3).sample((50,))
    found = two_sample_test(draws, draws, space=mf.Hypersphere(3))
    assert found.mmd == pytest.approx(0, abs=1e-12)
    assert found.p_value > 0.5
    same = torch.eye(4)[:1].expand(9, 4)
    assert two_sample_test(same, same, space=mf.Hypersphere(3), permutations=19).p_value == 1


def test_a_small_mode_that_is_missing_is_seen():
    """A tenth of the mass in a narrow second mode: the widest kernels alone do not see it."""
    torch.manual_seed(0)
    broad = SphericalUniform(2, dtype=torch.float64)
    narrow = VonMisesFisher(NORTH, 2000.0)
    mixed = torch.cat([broad.sample((450,)), narrow.sample((50,))])
    assert two_sample_test(broad.sample((500,)), mixed, space=mf.Hypersphere(2)).p_value <= 0.01


def test_products_and_wrapped_angles():
    space = Product((mf.Torus(1), mf.Euclidean(2)))
    points = torch.tensor([[math.pi, 1.0, 2.0], [-math.pi, 1.0, 2.0]])
    flat = flat_coordinates(space, points)
    assert flat.shape == (2, 4)
    torch.testing.assert_close(flat[0], flat[1])


def test_generators_make_it_repeatable_and_large_samples_are_thinned():
    draws = SphericalUniform(2).sample((2, 300))
    found = [
        two_sample_test(*draws, space=mf.Hypersphere(2), most=100, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert found[0].counts == (100, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": torch.ones(5, 3)}, r"first: expected points on Hypersphere\(2\)"),
        ({"first": torch.eye(3)[:1]}, r"first: expected points \(m, n\) with m >= 2"),
        ({"widths": [0.0]}, "widths: expected a positive finite number"),
        ({"permutations": 5}, "permutations: expected an integer >= 19"),
        ({"space": mf.manifolds.Pullback(mf.Euclidean(3), lambda x: x)}, "space: expected a sphere, torus, simplex"),
    ],
)
def test_refusals(change, message):
    good = {"first": torch.eye(3), "second": -torch.eye(3), "space": mf.Hypersphere(2), "permutations": 19}
    assert two_sample_test(**good).p_value > 0
    with pytest.raises(ValueError, match=message):
        two_sample_test(**{**good, **change})


def test_calibration():
    torch.manual_seed(0)
    law, sharp = LAWS["sphere"]
    held_out = law.sample((2000,))
    for level, share in calibration(law, held_out):
        assert abs(share.value - level) < 4 * share.error + 4 * math.sqrt(level * (1 - level) / 10_000)
    levels = dict(calibration(sharp, held_out))
    assert levels[0.9].value < 0.8  # a model that is too sure of itself
    with pytest.raises(ValueError, match="level: expected a share between 0 and 1"):
        calibration(law, held_out, [0.5, 1.0])


def test_signs_weigh_both_samples_alike_to_the_last_digits():
    signs = _signs(3, 7, 5, None, torch.zeros((), dtype=torch.float64))
    assert signs.sum(0).abs().max() < 1e-15
    assert signs[:, 0].tolist() == [1 / 3] * 3 + [-1 / 7] * 7
    assert all(sorted(column.tolist()) == sorted(signs[:, 0].tolist()) for column in signs.T)
