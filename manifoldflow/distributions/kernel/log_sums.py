r"""Logs of sums of many Gaussians in a squared distance, exact to a stated error, without most of the terms.

.. math:: \log \sum_i e^{h_i - \kappa_i |x - y_i|^2 / 2}

for points x in R^e, blockwise. Where the terms are narrow, most of them do not count: points x are put in tiles of
neighbours, and a tile leaves out every i whose term at its nearest point is too small beside a term that the whole
tile has. What is left out is at most `_SHARE` of the sum, whatever the data look like. Everything is float64.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...manifolds import is_eager

__all__ = ["Terms", "log_sums"]

_SHARE = 1e-8  # of a sum may be left out
_BLOCK = 1 << 18  # terms at once: 2 MiB, which the cache holds
_WHOLE = 1 << 21  # up to so many terms, sorting costs more than it saves
_TILE = 32  # points of a tile
_LOW = 8  # coordinates: in more, balls hold little
_WORTH = 0.4  # share of the terms from which on the plain sum is as fast


class Terms(NamedTuple):
    """The Gaussians: centres y `(m, e)`, log heights h `(m,)` and precisions kappa `(m,)`."""

    centres: Tensor
    heights: Tensor
    precisions: Tensor

    def at(self, index: Tensor) -> "Terms":
        """Some of them."""
        return Terms(*(part[index] for part in self))


def log_sums(x: Tensor, terms: Terms, *, leave_one_out: bool = False, dense: bool = False) -> Tensor:
    """The log sums `(q,)` at points `(q, e)`.

    Args:
        x: Where.
        terms: What is added up.
        leave_one_out: The points are the centres, and each is left out of its own sum.
        dense: Add up all terms, whether they count or not.
    """
    own = torch.arange(len(x), device=x.device) if leave_one_out else None
    count = len(x) * len(terms.centres)
    if not dense and count > _WHOLE and x.shape[-1] <= _LOW and is_eager():
        found = _sparse(x, terms, own)
        if found is not None:
            return found
    rows = max(1, _BLOCK // max(len(terms.centres), 1))
    if len(x) <= rows or not is_eager():
        return _plain(x, terms, own)
    starts = range(0, len(x), rows)
    blocks = [(x[s : s + rows], terms, None if own is None else own[s : s + rows]) for s in starts]
    if torch.is_grad_enabled() and any(part.requires_grad for part in (x, *terms)):
        return torch.cat([checkpoint(_plain, *block, use_reentrant=False) for block in blocks])
    return torch.cat([_plain(*block) for block in blocks])


def _plain(x: Tensor, terms: Terms, own: Tensor | None) -> Tensor:
    """All terms at once, from one matrix product; `own` is the term that each point leaves out."""
    y, h, k = terms
    # h - k |x - y|^2 / 2 as a product of (x, |x|^2, 1) with (k y, -k/2, h - k |y|^2 / 2)
    right = torch.cat([k[:, None] * y, -0.5 * k[:, None], (h - 0.5 * k * y.square().sum(-1))[:, None]], dim=-1)
    left = torch.cat([x, x.square().sum(-1, keepdim=True), torch.ones_like(x[:, :1])], dim=-1)
    logs = left @ right.mT
    if own is not None:
        logs = torch.where(own[:, None] == torch.arange(len(y), device=x.device), -math.inf, logs)
    if logs.requires_grad or not is_eager():
        return logs.logsumexp(-1)
    top = logs.amax(-1, keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    return logs.sub_(top).exp_().sum(-1).log() + top[:, 0]


def _sparse(x: Tensor, terms: Terms, own: Tensor | None) -> Tensor | None:
    """The same tile by tile, or None where too few terms would be left out."""
    with torch.no_grad():
        tiles = _tiles(x, _TILE)
        group = max(1, 1 << (max(len(tiles).bit_length() - 1, 0) // 2))  # so many tiles first look together
        work, total = [], 0
        for several in tiles.split(group):
            (wide,) = _kept(x[several.flatten()][None], terms, leave_one_out=own is not None)
            near = _kept(x[several], terms.at(wide), leave_one_out=own is not None)
            work += [(tile, wide[index]) for tile, index in zip(several, near)]
            total += sum(map(len, near))
            if total > _WORTH * len(work) * len(terms.centres):
                return None
    parts = []
    for tile, index in work:
        near_terms = terms.at(index)
        for t in tile.split(max(1, _BLOCK // len(index))):
            parts.append(_plain(x[t], near_terms, None if own is None else _position(index, t)))
    place = torch.empty(len(x), dtype=torch.long, device=x.device)
    place[tiles.flatten()] = torch.arange(tiles.numel(), device=x.device)
    return torch.cat(parts)[place]


def _position(index: Tensor, wanted: Tensor) -> Tensor:
    """Where in the increasing `index` each wanted number stands, -1 where it does not."""
    place = torch.searchsorted(index, wanted).clamp(max=max(len(index) - 1, 0))
    return torch.where(index[place] == wanted, place, -1)


def _tiles(x: Tensor, size: int) -> Tensor:
    """Indices of neighbouring points `(tiles, at most size)`: halved along the widest axis; the last is repeated."""
    levels = max(0, math.ceil(math.log2(max(len(x), 1) / size)))
    width = math.ceil(len(x) / 2**levels) * 2**levels
    index = torch.arange(width, device=x.device).clamp(max=len(x) - 1)[None]
    for _ in range(levels):
        groups = x[index]
        axis = (groups.amax(1) - groups.amin(1)).argmax(-1)
        values = groups.gather(2, axis[:, None, None].expand(-1, groups.shape[1], 1))[..., 0]
        index = index.gather(1, values.argsort(dim=1)).reshape(2 * len(index), -1)
    return index


def _kept(points: Tensor, terms: Terms, *, leave_one_out: bool) -> list[Tensor]:
    """For each tile of points `(tiles, size, e)` the terms that count, in increasing order."""
    centre = points.mean(1)
    radius = torch.linalg.vector_norm(points - centre[:, None], dim=-1).amax(1, keepdim=True)
    y, h, k = terms
    # The distance below is rounded: the root of a difference.
    radius = radius + 1e-7 * (radius + torch.linalg.vector_norm(y, dim=-1).amax())
    slack = math.log(2 * len(y) / _SHARE)
    distance = (y.square().sum(-1) + centre.square().sum(-1, keepdim=True) - 2 * centre @ y.mT).clamp_(min=0).sqrt_()
    half = 0.5 * k
    below = h - half * (distance + radius).square_()
    # Every point of the tile has this term; where its own is left out, the second largest.
    floor = below.topk(2, dim=-1).values[:, 1:] if leave_one_out else below.amax(-1, keepdim=True)
    above = h - half * (distance - radius).clamp_(min=0).square_()
    row, column = (above > floor - slack).nonzero(as_tuple=True)
    return list(column.split(torch.bincount(row, minlength=len(centre)).tolist()))
