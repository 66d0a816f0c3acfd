"""How paths move through images: speed over time, length, and what they stay near."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .distances import FeatureSpace

__all__ = ["Motion", "path_motion"]

_IMAGES_A_CHUNK = 500
_REFERENCE_A_CHUNK = 10_000


@dataclass(frozen=True)
class Motion:
    """Speeds, lengths and nearness of the decoded images of paths, as shown.

    Distances are Euclidean: in pixels, of values in [0, 1]; in features, of the extractor's.

    Args:
        pixel_speed, feature_speed: Mean over the pairs of the distance between neighbouring images per unit of time,
            (m - 1,).
        pixel_length, feature_length: Length of each path, the sum of those distances, (pairs,).
        nearer_end: Mean over the pairs of the distance in pixels to the nearer of the path's own two ends, (m,).
        nearest_training: The same to the nearest training image.
        nearest_training_features: The same, distance and neighbour in features.
    """

    pixel_speed: Tensor
    feature_speed: Tensor
    pixel_length: Tensor
    feature_length: Tensor
    nearer_end: Tensor
    nearest_training: Tensor
    nearest_training_features: Tensor


def nearest_distance(
    points: Tensor, reference: Tensor, device: torch.device | str = "cpu", *, scale: float = 1.0
) -> Tensor:
    """Distance of each of `points` (N, n) to the nearest of `reference` / scale (R, n), shape (N,).

    Computed on `device` as float32, block by block: the reference may be all training images as uint8.
    """
    nearest = torch.full((len(points),), torch.inf)
    for block in reference.split(_REFERENCE_A_CHUNK):
        block = block.to(device).float() / scale
        for part, best in zip(points.split(_IMAGES_A_CHUNK), nearest.split(_IMAGES_A_CHUNK)):
            torch.minimum(best, torch.cdist(part.to(device), block).amin(1).cpu(), out=best)
    return nearest


def path_motion(
    images: Tensor, features: Tensor, times: Tensor, *, space: FeatureSpace, training: Tensor, pairs_a_chunk: int = 50
) -> Motion:
    """Motion of paths whose images (pairs, m, c, h, w), uint8, have `features` (pairs, m, width) at `times` (m,).

    Args:
        images, features, times: The paths.
        space: Of the features; gives the levels and the training images' features.
        training: The training images, (R, c, h, w), uint8.
        pairs_a_chunk: How many paths are in memory as float32 at once.
    """
    scale, step = space.levels - 1, times.diff()
    reference = training.flatten(1)
    pixel, near, nearest = [], [], []
    for part in images.split(pairs_a_chunk):
        x = part.flatten(2).float() / scale
        pixel.append(x.diff(dim=1).norm(dim=-1))
        ends = torch.stack([(x - x[:, :1]).norm(dim=-1), (x - x[:, -1:]).norm(dim=-1)])
        near.append(ends.amin(0))
        nearest.append(nearest_distance(x.flatten(0, 1), reference, space.device, scale=scale).view(x.shape[:2]))
    moved = torch.cat(pixel)
    felt = features.diff(dim=1).norm(dim=-1)
    return Motion(
        pixel_speed=moved.mean(0) / step,
        feature_speed=felt.mean(0) / step,
        pixel_length=moved.sum(1),
        feature_length=felt.sum(1),
        nearer_end=torch.cat(near).mean(0),
        nearest_training=torch.cat(nearest).mean(0),
        nearest_training_features=nearest_distance(features.flatten(0, 1), space.reference, space.device)
        .view(features.shape[:2])
        .mean(0),
    )
