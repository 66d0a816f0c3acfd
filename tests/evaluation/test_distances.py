"""Distances between sets of images: zero for equal laws, the closed form for Gaussians, in bounded memory."""

import pytest
import torch

from manifoldflow.data import ImageSet
from manifoldflow.evaluation import Extractor, FeatureSpace

PIXELS = Extractor("pixels", lambda x: x.flatten(1), 4)


def normal(count, shift=0.0, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(count, 4, generator=generator)


def space_of(features, seed=0):
    """A space whose reference has these features."""
    space = FeatureSpace(PIXELS, ImageSet(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), None, 256, "none"), seed=seed)
    space.reference = features
    return space


def test_frechet_distance_of_gaussians_has_its_closed_form():
    """|m|^2 + d (s - 1)^2 for N(m, s^2 I) against N(0, I)."""
    distance = space_of(normal(20_000)).distance(normal(20_000, shift=0.5, scale=2.0, seed=1))
    assert distance.frechet == pytest.approx(4 * 0.25 + 4 * 1.0, rel=0.05)
    assert distance.count == 20_000


def test_equal_laws_are_near_zero_and_others_far():
    space = space_of(normal(1000))
    same, other = space.distance(normal(500, seed=1)), space.distance(normal(500, shift=1.0, seed=1))
    assert same.frechet < 0.1 < other.frechet
    assert abs(same.kernel) < 3 * same.kernel_sd < other.kernel


def test_distances_are_repeatable_and_leave_the_generator_alone():
    space = space_of(normal(200))
    state = torch.random.get_rng_state()
    first = space.distance(normal(100, seed=1))
    torch.randn(5)
    assert first == space.distance(normal(100, seed=1))
    torch.random.set_rng_state(state)
    space.distance(normal(100, seed=1))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_features_are_of_values_from_0_to_1_in_any_batch_shape_and_in_chunks():
    largest = 0

    def watch(x):
        nonlocal largest
        largest = max(largest, len(x))
        return x.flatten(1)

    images = torch.randint(17, (3, 1201, 1, 2, 2), dtype=torch.uint8)
    space = FeatureSpace(Extractor("watch", watch, 4), ImageSet(images[0], None, 17, "random"))
    features = space.features(images)
    assert torch.equal(features, images.flatten(2).float() / 16)
    assert features.shape == (3, 1201, 4)
    assert 1 < largest <= 500
