"""One protocol for every path: the same pairs, the same times, the same number of images in every row."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..data import ImageSet, bits_per_dim
from ..flows import ManifoldFlow
from .distances import FeatureSpace
from .profile import Profile

__all__ = ["BIN_TIMES", "Row", "covers_bins", "evaluate_path", "floor_row", "sample_row"]

BIN_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Centres of five equal time bins."""


def covers_bins(times: Tensor) -> bool:
    """Whether the centres of all bins are among `times` (m,)."""
    return all(float((times - t).abs().min()) < 1e-3 for t in BIN_TIMES)


@dataclass(frozen=True)
class Row:
    """One row of the table: a path within a time bin, or over all of them.

    Args:
        base, path: What was interpolated how.
        time: Centre of the time bin, "all", or "" for the floor.
        count: Images in the row.
        bpd: Mean bits per dimension of the interpolants under their own flow; None for the floor.
        frechet, kernel, kernel_sd: As `SetDistance`.
        z_score: Mean z-score of the base log-density; None for the floor.
        typicality: Mean two-sided typicality under the base, 1/2 for draws from it; None for the floor.
    """

    base: str
    path: str
    time: str
    count: int
    bpd: float | None
    frechet: float
    kernel: float
    kernel_sd: float
    z_score: float | None
    typicality: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def floor_row(space: FeatureSpace, real: ImageSet) -> Row:
    """Real images against the reference: what perfect samples would reach, but no bound, since means can lie nearer."""
    d = space.distance(real.images.float() / (real.levels - 1))
    return Row("real images", "starts v. training", "", d.count, None, d.frechet, d.kernel, d.kernel_sd, None, None)


def sample_row(space: FeatureSpace, samples: Tensor, *, base: str, levels: int) -> Row:
    """Draws of a model, (N, c, h, w) uint8, against the reference: what its interpolants compete with."""
    d = space.distance(samples.float() / (levels - 1))
    return Row(base, "samples", "", d.count, None, d.frechet, d.kernel, d.kernel_sd, None, None)


@torch.no_grad()
def evaluate_path(
    flow: ManifoldFlow,
    space: FeatureSpace,
    points: Tensor,
    images: Tensor,
    profile: Profile,
    *,
    base: str,
    path: str,
    levels: int,
    seed: int,
) -> list[Row]:
    """A row for each time bin, and one over all times with one random bin a pair.

    Args:
        flow: Whose base the points belong to.
        space: Features and reference.
        points: Path points s, (pairs, m, n), at `profile.times`.
        images: The decoded points as shown, (pairs, m, c, h, w), uint8.
        profile: Of the same points.
        base, path: For the table.
        levels: Number of values a pixel can take.
        seed: Decides the bins of the row over all times.
    """
    pairs = len(points)
    columns = [int((profile.times - t).abs().argmin()) for t in BIN_TIMES]
    if not covers_bins(profile.times):
        raise ValueError(f"times: expected {BIN_TIMES} among them, got {profile.times.tolist()}")
    dim = images[0, 0].numel()
    # The density of the decoded point itself, not of its rounded and dequantised image.
    bpd = torch.stack([bits_per_dim(flow.log_prob(flow.decode(points[:, c])), dim, levels) for c in columns], dim=1)
    shown = images[:, columns].float() / (levels - 1)
    z, typical = profile.z_score[columns], profile.typicality[columns]

    def row(time: str, pictures: Tensor, bpd: Tensor, z: Tensor, typical: Tensor) -> Row:
        d = space.distance(pictures)
        means = [float(value.mean()) for value in (bpd, z, typical)]
        return Row(base, path, time, pairs, means[0], d.frechet, d.kernel, d.kernel_sd, means[1], means[2])

    rows = [row(f"{t:g}", shown[:, i], bpd[:, i], z[i], typical[i]) for i, t in enumerate(BIN_TIMES)]
    pick = torch.randint(len(BIN_TIMES), (pairs,), generator=torch.Generator().manual_seed(seed))
    return [*rows, row("all", shown[torch.arange(pairs), pick], bpd, z, typical)]
