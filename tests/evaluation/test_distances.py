"""Distances between sets of images: zero for equal laws, the closed form for Gaussians, in bounded memory."""

import pytest
import torch

from manifoldflow.data import ImageSet
from manifoldflow.errors import DataError
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


def test_too_few_images_for_the_kernel_distance_are_refused_by_name():
    space = space_of(normal(20))
    assert space.distance(normal(4, seed=1)).kernel == space.distance(normal(4, seed=1)).kernel  # not NaN
    for count in (1, 2, 3):
        with pytest.raises(DataError, match=f"at least 4 images on both sides, got {count} and 20"):
            space.distance(normal(count, seed=1))
    with pytest.raises(DataError, match="got 20 and 3 of the reference"):
        space_of(normal(3)).distance(normal(20))


@pytest.mark.parametrize("count", [3, 60])
def test_a_resampling_has_the_distance_of_the_images_it_drew(count):
    """With fewer images than features, and with more."""
    space, x = space_of(normal(400, scale=1.3)), normal(count, shift=0.3, seed=1)
    draws = space.resampled_frechet(x, seed=5, draws=3)
    generator = torch.Generator().manual_seed(5)
    for draw in draws:
        index = torch.randint(count, (count,), generator=generator)
        a, b = x[index].double(), space.reference.double()
        product = torch.cov(a.T) @ torch.cov(b.T)
        overlap = torch.linalg.eigvals(product).real.clamp_min(0).sqrt().sum()
        expected = (a.mean(0) - b.mean(0)).square().sum() + (torch.cov(a.T) + torch.cov(b.T)).trace() - 2 * overlap
        assert float(draw) == pytest.approx(float(expected), abs=1e-6)


def test_the_spread_of_resamplings_is_that_of_repetitions():
    """Over 60 fresh sets of 200 images the deviation is known to 9 %: within a factor of 1.5 (6 sigma)."""
    space = space_of(normal(4000))
    sets = [normal(200, shift=0.5, seed=seed) for seed in range(1, 61)]
    fresh = torch.tensor([float(space.resampled_frechet(x, seed=0, draws=2).mean()) for x in sets])
    one = space.resampled_frechet(sets[0], seed=0, draws=200)
    # Each of the fresh values has the spread of the sets and half the variance of a resampling.
    expected = (1.5**0.5) * float(one.std())
    assert expected / 1.5 < float(fresh.std()) < 1.5 * expected
