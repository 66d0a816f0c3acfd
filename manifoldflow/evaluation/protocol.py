"""One protocol for every path: the same pairs, the same times, the same number of images in every row."""

from dataclasses import replace

import torch
from torch import Tensor

from ..data import bits_per_dim
from ..flows import ManifoldFlow
from .distances import FeatureSpace
from .path_figures import Motion, Profile
from .results import Row

__all__ = ["BIN_TIMES", "covers_bins", "evaluate_path", "floor_row", "interpolant_bpd", "sample_row"]

BIN_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Centres of five equal time bins."""

_POINTS_A_CHUNK = 500


def covers_bins(times: Tensor) -> bool:
    """Whether the centres of all bins are among `times` (m,)."""
    return all(float((times - t).abs().min()) < 1e-3 for t in BIN_TIMES)


def bin_columns(times: Tensor) -> list[int]:
    """The columns of the bins' centres.

    Raises:
        ValueError: One of them is not among `times` (m,).
    """
    if not covers_bins(times):
        raise ValueError(f"times: expected {BIN_TIMES} among them, got {times.tolist()}")
    return [int((times - t).abs().argmin()) for t in BIN_TIMES]


def floor_row(space: FeatureSpace, real: Tensor) -> Row:
    """Real images (N, c, h, w), uint8, against the reference: what perfect samples would reach.

    No bound, since means of images can lie nearer.
    """
    d = space.distance(space.features(real))
    return Row("real images", "starts v. training", "", d.count, None, d.frechet, d.kernel, d.kernel_sd)


def sample_row(space: FeatureSpace, samples: Tensor, *, base: str) -> Row:
    """Draws of a model, (N, c, h, w) uint8, against the reference: what its interpolants compete with."""
    d = space.distance(space.features(samples))
    return Row(base, "samples", "", d.count, None, d.frechet, d.kernel, d.kernel_sd)


@torch.no_grad()
def interpolant_bpd(flow: ManifoldFlow, points: Tensor, *, dim: int, levels: int) -> Tensor:
    """Bits per dimension (*batch,) of decoded points s (*batch, n): of the point itself, not of a rounded image.

    Computed on the flow's device, a part at a time; the result is on that of the points.
    """
    device = next(iter(flow.state_dict().values()), points).device
    parts = (part.to(device) for part in points.flatten(0, -2).split(_POINTS_A_CHUNK))
    bpd = [bits_per_dim(flow.log_prob(flow.decode(part)), dim, levels).to(points.device) for part in parts]
    return torch.cat(bpd).view(points.shape[:-1])


def evaluate_path(
    flow: ManifoldFlow,
    space: FeatureSpace,
    points: Tensor,
    features: Tensor,
    profile: Profile,
    motion: Motion,
    *,
    base: str,
    path: str,
    dim: int,
    seed: int,
) -> tuple[list[Row], Tensor]:
    """A row for each time bin, and one over all times with one random bin per pair.

    Args:
        flow: Whose base the points belong to.
        space: Features and reference.
        points: Path points s, (pairs, m, n), at `profile.times`.
        features: Of the decoded images as shown, (pairs, m, width).
        profile, motion: Of the same paths.
        base, path: For the table.
        dim: d = c h w.
        seed: Decides the bins of the row over all times, and the resampled pairs.

    Returns:
        The rows; and the Frechet distances over all times of resampled pairs, which are the same pairs for all paths
        of as many pairs and one `seed`, so that paths are compared draw by draw.
    """
    pairs, columns = len(points), bin_columns(profile.times)
    bpd = interpolant_bpd(flow, points[:, columns], dim=dim, levels=space.levels)
    shown = features[:, columns]
    figures = (bpd, profile.z_score[columns], profile.typicality[columns], profile.ks[columns])

    def row(time: str, features: Tensor, figures: tuple[Tensor, ...]) -> Row:
        d = space.distance(features)
        bpd, z, typical, ks = (float(value.mean()) for value in figures)
        return Row(base, path, time, pairs, bpd, d.frechet, d.kernel, d.kernel_sd, z, typical, ks)

    rows = [row(f"{t:g}", shown[:, i], tuple(value[..., i] for value in figures)) for i, t in enumerate(BIN_TIMES)]
    pick = torch.randint(len(BIN_TIMES), (pairs,), generator=torch.Generator().manual_seed(seed))
    mixed = shown[torch.arange(pairs), pick]
    draws = space.resampled_frechet(mixed, seed=seed)
    every = replace(
        row("all", mixed, figures),
        pixel_length=float(motion.pixel_length.mean()),
        feature_length=float(motion.feature_length.mean()),
        frechet_sd=float(draws.std()),
    )
    return [*rows, every], draws
