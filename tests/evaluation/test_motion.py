"""Speeds, lengths and nearness of paths through images, on paths whose answers are known."""

import torch

from manifoldflow.data import ImageSet
from manifoldflow.evaluation import Extractor, FeatureSpace, path_figures, path_motion

TIMES = torch.tensor([0.0, 0.25, 0.5, 1.0])


def motion_of(images, training, levels=101):
    space = FeatureSpace(
        Extractor("half the pixels", lambda x: 0.5 * x.flatten(1), 4), ImageSet(training, None, levels, "none")
    )
    return path_motion(images, space.features(images), TIMES, space=space, training=training, pairs_a_chunk=1)


def test_a_straight_path_at_constant_speed():
    ramp = (100 * TIMES).to(torch.uint8)
    images = ramp[None, :, None, None, None].expand(2, 4, 1, 2, 2).contiguous()
    training = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 50)]).to(torch.uint8)
    motion = motion_of(images, training)
    # All four pixels rise from 0 to 1: a distance of sqrt(4) in all.
    torch.testing.assert_close(motion.pixel_speed, torch.full((3,), 2.0))
    torch.testing.assert_close(motion.feature_speed, torch.full((3,), 1.0))
    torch.testing.assert_close(motion.pixel_length, torch.full((2,), 2.0))
    torch.testing.assert_close(motion.feature_length, torch.full((2,), 1.0))
    torch.testing.assert_close(motion.nearer_end, torch.tensor([0.0, 0.5, 1.0, 0.0]))
    torch.testing.assert_close(motion.nearest_training, torch.tensor([0.0, 0.5, 0.0, 1.0]))
    torch.testing.assert_close(motion.nearest_training_features, torch.tensor([0.0, 0.25, 0.0, 0.5]))


def test_means_over_pairs_and_a_path_that_stays():
    images = torch.zeros(2, 4, 1, 2, 2, dtype=torch.uint8)
    images[0, 2:] = 100
    motion = motion_of(images, torch.zeros(2, 1, 2, 2, dtype=torch.uint8))
    torch.testing.assert_close(motion.pixel_length, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(motion.pixel_speed, torch.tensor([0.0, 4.0, 0.0]))  # 2 in a quarter, half of the pairs
    assert torch.equal(motion.nearer_end, torch.zeros(4))


def test_the_nearest_is_found_across_blocks(monkeypatch):
    monkeypatch.setattr(path_figures, "_REFERENCE_A_CHUNK", 7)
    monkeypatch.setattr(path_figures, "_IMAGES_A_CHUNK", 5)
    points, reference = torch.rand(23, 6), torch.randint(256, (40, 6), dtype=torch.uint8)
    expected = torch.cdist(points, reference.float() / 255).amin(1)
    torch.testing.assert_close(path_figures.nearest_distance(points, reference, scale=255), expected)
