"""Distances between sets of images: zero for equal laws, the closed form for Gaussians."""

import pytest
import torch
from torch import nn

from manifoldflow.evaluation import FeatureSpace


class Pixels(nn.Module):
    """The pixels themselves as features."""

    num_features = 4

    def forward(self, x):
        return x.flatten(1)


def normal(count, shift=0.0, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(count, 1, 2, 2, generator=generator)


def test_frechet_distance_of_gaussians_has_its_closed_form():
    """|m|^2 + d (s - 1)^2 for N(m, s^2 I) against N(0, I)."""
    space = FeatureSpace(Pixels(), normal(20_000))
    distance = space.distance(normal(20_000, shift=0.5, scale=2.0, seed=1))
    assert distance.frechet == pytest.approx(4 * 0.25 + 4 * 1.0, rel=0.05)
    assert distance.count == 20_000


def test_equal_laws_are_near_zero_and_others_far():
    space = FeatureSpace(Pixels(), normal(1000))
    same, other = space.distance(normal(500, seed=1)), space.distance(normal(500, shift=1.0, seed=1))
    assert same.frechet < 0.1 < other.frechet
    assert abs(same.kernel) < 3 * same.kernel_sd < other.kernel


def test_distances_are_repeatable_and_leave_the_generator_alone():
    space = FeatureSpace(Pixels(), normal(200))
    state = torch.random.get_rng_state()
    first = space.distance(normal(100, seed=1))
    torch.randn(5)
    assert first == space.distance(normal(100, seed=1))
    torch.random.set_rng_state(state)
    space.distance(normal(100, seed=1))
    assert torch.equal(torch.random.get_rng_state(), state)
