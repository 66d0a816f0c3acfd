"""Diagnostics of directions against closed forms, and refusals."""

import math
import sys

import pytest
import torch

from manifoldflow.distributions import SphericalUniform, VonMisesFisher
from manifoldflow.errors import OffManifoldError
from manifoldflow.inference import (
    credible_cap,
    direction_ess,
    direction_rhat,
    in_highest_density,
    summarize_directions,
    to_arviz,
)

NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("concentration", [0.0, 3.0, 1e6])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_independent_draws_are_worth_their_number(n, concentration):
    pole = torch.eye(n, dtype=torch.float32)[0]
    law = VonMisesFisher(pole, concentration) if concentration else SphericalUniform(n - 1)
    x = law.sample((4, 1000, 2))
    assert direction_rhat(x).shape == direction_ess(x).shape == (2,)
    assert (direction_rhat(x) < 1.02).all()
    assert ((direction_ess(x) > 2400) & (direction_ess(x) < 5000)).all()
    assert direction_ess(x).dtype == torch.float32


def test_chains_in_different_places_and_slow_chains_are_found():
    shifted = torch.nn.functional.normalize(NORTH + torch.tensor([0.3, 0.0, 0.0], dtype=torch.float64), dim=0)
    together = VonMisesFisher(NORTH, 50.0).sample((2, 500))
    apart = VonMisesFisher(torch.stack([NORTH, shifted]), 50.0).sample((500,)).movedim(1, 0)
    assert direction_rhat(together) < 1.02
    assert direction_rhat(apart) > 1.1
    slow = VonMisesFisher(NORTH, 50.0).sample((2, 100)).repeat_interleave(10, dim=1)
    assert 100 < direction_ess(slow) < 400


@pytest.mark.parametrize("concentration", [2.0, 100.0])
def test_moments_and_caps_of_von_mises_fisher(concentration):
    x = VonMisesFisher(NORTH, concentration).sample((4, 20000))
    length = 1 / math.tanh(concentration) - 1 / concentration  # E cos; E sin^2 = 2 length / concentration
    found = summarize_directions(x)
    assert found.mean @ NORTH > 0.999
    assert abs(found.resultant - length) < 0.01
    assert abs(found.dispersion / (2 / (concentration * length)) - 1) < 0.03
    edge = math.acos(1 + math.log1p(-0.9 * -math.expm1(-2 * concentration)) / concentration)
    assert abs(credible_cap(x, 0.9).angle / edge - 1) < 0.02
    outer = torch.tensor([[math.sin(a), 0.0, math.cos(a)] for a in (0.97 * edge, 1.03 * edge)], dtype=torch.float64)
    inside = in_highest_density(outer, x, VonMisesFisher(NORTH, concentration).log_prob, 0.9)
    assert inside.tolist() == [True, False]


@pytest.mark.parametrize("function", [direction_ess, direction_rhat, summarize_directions, credible_cap])
def test_refusals(function):
    x = SphericalUniform(2).sample((2, 8))
    function(x)
    with pytest.raises(OffManifoldError, match="draws"):
        function(2 * x)
    with pytest.raises(ValueError, match=r"draws: expected shape .* at least 4 draws"):
        function(x[0])
    with pytest.raises(ValueError, match=r"draws: expected shape .* at least 4 draws"):
        function(x[:, :3])


def test_shares_are_refused():
    x = SphericalUniform(2).sample((2, 8))
    credible_cap(x, 1.0)
    with pytest.raises(ValueError, match="share"):
        credible_cap(x, 1.5)


class Run:
    """What a run of two chains offers, with a divergence at the second's third draw."""

    def __init__(self):
        self.draws = {"s": SphericalUniform(2).sample((2, 8))}

    def get_samples(self, group_by_chain):
        return self.draws if group_by_chain else {}

    def diagnostics(self):
        return {"divergences": {"chain 0": [], "chain 1": [2]}}


def test_draws_go_to_arviz():
    pytest.importorskip("arviz")
    run = Run()
    found = to_arviz(run)
    assert found.posterior["s"].shape == (2, 8, 3)
    assert found.sample_stats["diverging"].values.nonzero() == ([1], [2])


def test_without_arviz_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"manifoldflow\[arviz\]"):
        to_arviz(Run())


def test_effective_sizes_of_short_chains_that_turn_back_and_forth_are_bounded():
    torch.manual_seed(0)
    turn = 0.3 * torch.tensor([1.0, -1.0]).repeat(10) + 0.01 * torch.randn(20)
    x = torch.nn.functional.normalize(torch.stack([turn.cos(), turn.sin(), turn + 0.01 * torch.randn(20)], -1), dim=-1)[
        None
    ]
    assert 20 < direction_ess(x) <= 20 * math.log10(20) + 1e-4


def test_caps_and_regions_hold_the_least_number_of_draws_that_makes_up_the_share():
    angles = torch.linspace(0.01, 1.5, 50, dtype=torch.float64)
    both = torch.cat([angles, -angles])[torch.randperm(100)]  # symmetric about the first axis
    x = torch.stack([both.cos(), both.sin()], -1).reshape(2, 50, 2)
    # of 100 draws in pairs, the k-th nearest is number ceil(k / 2) of the angles
    for options, count in (({}, 95), ({"share": 0.5}, 50), ({"share": 0.501}, 51), ({"share": 1e-3}, 1)):
        cap = credible_cap(x, **options)
        torch.testing.assert_close(cap.centre, torch.tensor([1.0, 0.0], dtype=torch.float64))
        edge = angles[math.ceil(count / 2) - 1]
        torch.testing.assert_close(cap.angle, edge)
        around = torch.stack([edge - 1e-6, edge + 1e-6])
        points = torch.stack([around.cos(), around.sin()], -1)
        inside = in_highest_density(points, x, lambda p: 3 * p[..., 0] + 7, **options)
        assert inside.tolist() == [True, False]
    for share in (0.0, -0.1):
        with pytest.raises(ValueError, match="share"):
            credible_cap(x, share)
        with pytest.raises(ValueError, match="share"):
            in_highest_density(x[0], x, lambda p: p[..., 0], share)
    with pytest.raises(ValueError, match="draws: expected shape"):
        in_highest_density(x[0], x[None], lambda p: p[..., 0])


def test_summaries_by_their_formulas():
    x = torch.nn.functional.normalize(torch.randn(2, 4, 3, 4, dtype=torch.float64) + 0.5, dim=-1)
    found = summarize_directions(x)
    for k in range(3):
        rows = x[:, :, k].reshape(8, 4)
        average = rows.mean(0)
        torch.testing.assert_close(found.resultant[k], average.norm())
        torch.testing.assert_close(found.mean[k], average / average.norm())
        cosine = rows @ found.mean[k]
        torch.testing.assert_close(found.dispersion[k], (1 - cosine.square().mean()) / average.norm() ** 2)
    assert direction_ess(x).shape == direction_rhat(x).shape == (3,)  # four draws are enough
