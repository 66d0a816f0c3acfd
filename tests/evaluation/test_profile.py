"""The profile of a path against its base: draws are typical, the midpoints of straight lines are not."""

import pytest
import torch

from manifoldflow.evaluation import path_profile
from manifoldflow.flows import make_base
from manifoldflow.interpolation import build_path

TIMES = torch.linspace(0, 1, 5)
STATISTICS = {"gaussian": "norm", "vmf": "cosine", "dirichlet": "log-density"}


@pytest.mark.parametrize("name", ["gaussian", "vmf", "dirichlet"])
def test_ends_are_typical_and_geodesic_midpoints_are_too_dense(name):
    _, base, _ = make_base(name, 200)
    start, end = base.sample((300,)), base.sample((300,))
    points = build_path(start, end, method="geodesic", base=base)(TIMES)
    profile = path_profile(base, points, TIMES, seed=0)
    assert STATISTICS[name] in profile.statistic
    assert profile.path.shape == (3, 5)
    assert abs(float(profile.z_score[0])) < 0.3
    assert abs(float(profile.z_score[-1])) < 0.3
    assert float(profile.z_score[2]) > 2.5
    assert float(profile.typicality[0]) == pytest.approx(0.5, abs=0.07)
    assert float(profile.typicality[2]) < 0.1
    # The base's own band holds the ends' median, and not the middle's.
    assert profile.base[0] < profile.path[1, 0] < profile.base[2]
    assert not profile.base[0] < profile.path[1, 2] < profile.base[2]


def test_gaussian_linear_midpoint_is_as_far_as_theory_says():
    """|z|^2 halves: the log-density rises by d/4, that is sqrt(d/8) standard deviations."""
    d = 512
    _, base, _ = make_base("gaussian", d)
    points = build_path(base.sample((500,)), base.sample((500,)), method="linear")(TIMES)
    profile = path_profile(base, points, TIMES, seed=0)
    assert float(profile.z_score[2]) == pytest.approx((d / 8) ** 0.5, rel=0.05)
    assert float(profile.path[1, 2]) == pytest.approx((d / 2) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", ["gaussian", "vmf", "dirichlet"])
def test_kolmogorov_smirnov_distance_tells_draws_from_straight_lines(name):
    """The largest of five distances of draws is within the 0.2 % point, 1.86 / sqrt(pairs); the middle's is near 1."""
    _, base, _ = make_base(name, 200)
    start, end = base.sample((400,)), base.sample((400,))
    profile = path_profile(base, build_path(start, end, method="matched", base=base)(TIMES), TIMES, seed=0)
    assert float(profile.ks.max()) < 1.86 / 400**0.5
    straight = path_profile(base, build_path(start, end, method="geodesic", base=base)(TIMES), TIMES, seed=0)
    assert float(straight.ks[2]) > 0.8
    torch.testing.assert_close(straight.ks[0], profile.ks[0])


def test_realism_is_the_share_of_draws_that_are_less_dense():
    _, base, _ = make_base("gaussian", 50)
    draws, points = base.sample((4000,)), base.sample((6, 2))
    profile = path_profile(base, points, torch.tensor([0.0, 1.0]), seed=0)
    share = (base.log_prob(draws)[:, None, None] < base.log_prob(points)).double().mean(0)
    assert float((profile.realism - share).abs().max()) < 0.03
    assert profile.values.shape == (6, 2)
