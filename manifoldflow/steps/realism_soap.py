"""The soap-bubble test: what each index says of the middle between end points that mirror each other."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..models import DCGAN
from ..realism import FeatureDensity, Index, StandardNormalIndex, TwoSidedIndex, feature_index, mirrored
from ..training import Classifier
from .realism_paths import PathOptions, Solved, solve

__all__ = ["SOAP_HEADER", "soap_bubble"]

SOAP_HEADER = (
    "index",
    "at the ends",
    "in the middle, half of the coordinates mirrored",
    "in the middle, all mirrored",
    "in the middle of paths optimised under it (half)",
    "their realism over the line's",
)

_SHARES = {"half": 0.5, "all": 1.0}


def soap_bubble(
    model: DCGAN, extractor: Classifier, images: Tensor, options: PathOptions, *, points: int = 1000, pairs: int = 8
) -> tuple[list[list[Any]], dict[str, Solved], Tensor]:
    """Test a generator with the standard normal prior.

    Args:
        model: The generator.
        extractor: Gives the features; see `FeatureDensity`.
        images: Real ones, for the moments of the features.
        options: How paths are solved; the indices of features decode every point that they look at, so their
            segments are looked at once.
        points: End points for the means.
        pairs: How many of them are connected by paths.

    Returns:
        Rows under `SOAP_HEADER`; the paths by index; and images `(4, 12, c, h, w)` of ends, mirrored ends (half), and
        the middles (half, all).
    """
    dim = model.latent_dim
    start = model.prior.sample((points,))
    ends = {name: mirrored(start, share=share) for name, share in _SHARES.items()}
    middle = {name: 0.5 * (start + end) for name, end in ends.items()}
    features = torch.cat([extractor(part) for part in images.split(500)])
    density = StandardNormalIndex(dim)
    decoded = feature_index(FeatureDensity(features, model.decode, extractor), model.prior.sample((4 * points,)))
    indices: dict[str, Index] = {
        "density": density,
        "two-sided density (typicality)": TwoSidedIndex(density),
        "feature": decoded,
        "two-sided feature": TwoSidedIndex(decoded),
    }
    rows: list[list[Any]] = []
    paths = {}
    for name, index in indices.items():
        wanted = replace(options, iterations=min(options.iterations, 100))
        if "feature" in name:
            wanted = replace(wanted, pieces=1)
        solved = solve(model, index, start[:pairs], ends["half"][:pairs], wanted)
        line = solved.energy.length(solved.line(wanted.times))
        rows.append(
            [
                name,
                0.5 * (index(start).mean() + index(ends["half"]).mean()).item(),
                index(middle["half"]).mean().item(),
                index(middle["all"]).mean().item(),
                index(solved.path(torch.tensor([0.5]))[:, 0]).mean().item(),
                (line - solved.path.solution.length).exp().median().item(),
            ]
        )
        paths[name] = solved
    shown = torch.stack([start[:12], ends["half"][:12], middle["half"][:12], middle["all"][:12]])
    return rows, paths, model.decode(shown.flatten(0, 1)).unflatten(0, shown.shape[:2])
