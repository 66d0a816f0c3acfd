"""The shading of a density: at each place, how much of the model's mass is denser than there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...checks import check_integer
from ...evaluation.certify import log_densities
from .views import points_of, view_of

__all__ = ["OUTSIDE", "density_shade"]

OUTSIDE = 255
_DENSEST = 254
_COARSE = 2  # of the grid's rows and columns, where each density solves a differential equation


def density_shade(
    distribution: Any, train: np.ndarray, *, paths: Sequence[np.ndarray] = (), draws: int = 4000
) -> np.ndarray | None:
    """The density of a model on the grid of the page's map, as levels that do not depend on its scale.

    Args:
        distribution: With `log_prob`, `sample` and `manifold`.
        train: Training points `(N, n)`, which set the range of the map.
        paths: Points `(..., n)` of the page's paths, which the map holds, too.
        draws: Of the distribution, on whose log densities the levels rest.

    Returns:
        Whole numbers `(rows, columns)`, uint8: 254 times the share of draws that are denser than the place, so that the
        region of highest density with level p is where they are at most 254 p; 255 off the space. None where the space
        has more dimensions than a map shows.

    Example:
        >>> base = mf.VonMisesFisher(torch.eye(3)[2], 10.0)
        >>> density_shade(base, base.sample((50,)).numpy()).shape
        (180, 360)
    """
    check_integer("draws", draws, least=100)
    train = np.asarray(train)
    view = view_of(distribution.manifold, train, (), points_of(paths, train))
    if view.nodes is None:
        return None
    nodes = view.nodes
    if getattr(distribution, "tolerance", None) is not None:
        nodes = nodes[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE]
    inside = np.isfinite(nodes).all(-1)
    with torch.no_grad():
        drawn = distribution.sample(torch.Size((draws,)))
    known = np.sort(log_densities(distribution, drawn).cpu().numpy())
    rows = torch.from_numpy(nodes[inside]).to(drawn.dtype).to(drawn.device)
    values = log_densities(distribution, rows).cpu().numpy()
    denser = 1 - np.searchsorted(known, values, side="right") / draws
    shade = np.full(inside.shape, OUTSIDE, np.uint8)
    shade[inside] = np.round(_DENSEST * denser)
    return shade
