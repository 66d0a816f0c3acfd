"""What an evaluation says of each path: density, features, lengths, typicality. One function of rows, no state."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ..data import bits_per_dim
from ..evaluation import Extractor
from ..flows import ManifoldFlow
from ..realism import log_density_law

__all__ = ["PathValues"]


class PathValues:
    """The figures of paths row by row: called with rows, it returns a dict of arrays, one row each.

    Args:
        flow: Its density, and its base's typicality.
        levels: Number of values a pixel can take.
        extractor: Network of the features; None leaves features and their lengths out.
        seed: Of the draws that stand for a base whose log-density has no known law.

    The figures of a path (m times): `bpd` (m,), bits per dimension of the decoded points under the flow; `z_score` (m,)
    and `typicality` (m,) of the points under the base, see `realism.typicality`; `pixel_length` (), the sum of the
    Euclidean distances between neighbouring images as shown, of values in [0, 1]; `features` (m, width) of the images
    as shown, and `feature_length` ().
    """

    def __init__(self, flow: ManifoldFlow, *, levels: int, extractor: Extractor | None = None, seed: int = 0) -> None:
        self.flow, self.levels, self.extractor = flow, levels, extractor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._law = log_density_law(deepcopy(flow.base))  # stays where it is when the flow moves

    def shapes(self, steps: int) -> dict[str, tuple[int, ...]]:
        """Shape of each figure of one path at `steps` times."""
        along: dict[str, tuple[int, ...]] = dict.fromkeys(("bpd", "z_score", "typicality"), (steps,))
        if self.extractor is None:
            return {**along, "pixel_length": ()}
        return {
            **along,
            "pixel_length": (),
            "features": (steps, self.extractor.num_features),
            "feature_length": (),
        }

    @torch.no_grad()
    def __call__(self, points: Tensor, x: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Figures of paths as float32 on the CPU.

        Args:
            points: On the base's manifold, (b, m, n), on the CPU.
            x: The decoded points, (b, m, c, h, w), on the flow's device.
            images: The same as shown, uint8.
        """
        b, m = points.shape[:2]
        less, more = self._law.log_tails(points)
        z = (self._law.log_prob(points).double() - self._law.mean) / self._law.deviation
        log_prob = self.flow.log_prob(x.flatten(0, 1)).view(b, m)
        shown = images.flatten(0, 1).float() / (self.levels - 1)
        figures: dict[str, Any] = {
            "bpd": bits_per_dim(log_prob, x[0, 0].numel(), self.levels),
            "z_score": z,
            "typicality": (2 * torch.minimum(less, more).exp()).clamp_max(1),
            "pixel_length": shown.view(b, m, -1).diff(dim=1).norm(dim=-1).sum(1),
        }
        if self.extractor is not None:
            features = self.extractor.function(shown).view(b, m, -1)
            figures |= {"features": features, "feature_length": features.diff(dim=1).norm(dim=-1).sum(1)}
        return {name: value.float().cpu() for name, value in figures.items()}
