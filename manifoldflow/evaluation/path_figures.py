"""What paths do over time: beside the law of their base (the soap-bubble picture), and as images."""

from dataclasses import dataclass, replace

import torch
from pyro.distributions import TorchDistribution
from scipy.stats import kstest
from torch import Tensor

from ..distributions import Statistic, law_of
from ..realism import log_density_law, log_density_z
from .distances import FeatureSpace

__all__ = ["Motion", "Profile", "base_statistic", "path_motion", "path_profile", "path_steps", "two_sided"]

_BAND = (0.05, 0.5, 0.95)
_DRAWS = 4000
_IMAGES_A_CHUNK = 500
_REFERENCE_A_CHUNK = 10_000


@dataclass(frozen=True)
class Profile:
    """A statistic of path points over time, beside its law under the base.

    Args:
        statistic: What it is.
        times: (m,).
        path: Quantiles 5, 50 and 95 % over the pairs, (3, m).
        base: The same quantiles under the base, (3,).
        z_score: Mean over pairs of the base log-density in standard deviations from its mean under
            the base, (m,); negative is less dense than typical.
        typicality: Mean over pairs of the two-sided typicality, (m,): 1/2 for draws from the base.
        ks: Kolmogorov-Smirnov distance between the law of the log-density over the pairs and that of a draw
            from the base, (m,); up to sampling, 0 where a path preserves the base's law.
        realism: The share F of draws that are less dense than each path point, (pairs, m): the base's density index.
        values: The statistic itself, (pairs, m).
    """

    statistic: str
    times: Tensor
    path: Tensor
    base: Tensor
    z_score: Tensor
    typicality: Tensor
    ks: Tensor
    realism: Tensor
    values: Tensor


def base_statistic(base: TorchDistribution) -> Statistic:
    """The number of a point that tells most about where it stands under a base, and its title; see `law_of`."""
    return law_of(base).statistic


def two_sided(below: Tensor) -> Tensor:
    """Typicality 2 min(F, 1 - F) of the share F of draws that are less dense."""
    return 2 * torch.minimum(below, 1 - below)


def path_steps(x: Tensor) -> Tensor:
    """Euclidean distances between neighbouring points of paths x (b, m, ...), shape (b, m - 1)."""
    return x.flatten(2).diff(dim=1).norm(dim=-1)


def path_profile(base: TorchDistribution, points: Tensor, times: Tensor, *, seed: int) -> Profile:
    """Profile of path points s (pairs, m, n) at `times` (m,) against draws from the base.

    The law of the log-density of a draw is exact for the Gaussian and the von Mises-Fisher base, sampled for others;
    `seed` decides those draws.
    """
    known = law_of(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        law = log_density_law(known)
        torch.manual_seed(seed)
        draws = base.sample((_DRAWS,))
    once = replace(known, log_density=lambda samples: law)  # drawn once, so that every part is judged by the same draws
    parts = points.split(100)
    z = torch.cat([log_density_z(once, part) for part in parts])
    scores = torch.cat([log_density_z(once, part, normal_score=True) for part in parts])
    below = torch.special.ndtr(scores.double())
    statistic = torch.cat([known.statistic.of(part) for part in parts])
    quantiles = torch.tensor(_BAND, dtype=points.dtype)
    return Profile(
        statistic=known.statistic.title,
        times=times,
        path=statistic.quantile(quantiles, dim=0),
        base=known.statistic.of(draws).quantile(quantiles),
        z_score=z.mean(0),
        typicality=two_sided(below).mean(0),
        ks=torch.tensor([kstest(column.numpy(), "uniform").statistic for column in below.T]),
        realism=below,
        values=statistic,
    )


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
        pixel.append(path_steps(x))
        ends = torch.stack([(x - x[:, :1]).norm(dim=-1), (x - x[:, -1:]).norm(dim=-1)])
        near.append(ends.amin(0))
        nearest.append(nearest_distance(x.flatten(0, 1), reference, space.device, scale=scale).view(x.shape[:2]))
    moved = torch.cat(pixel)
    felt = path_steps(features)
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
