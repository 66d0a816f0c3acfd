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
_NOTHING = -700.0  # below, exponentials are denormal numbers, which take six times as long
_NEVER = -1e300  # log height of a term of no weight; of -inf the gradients would be NaN
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
    logs = _left(x) @ _right(terms).mT
    if own is not None:
        logs = torch.where(own[:, None] == torch.arange(len(terms.centres), device=x.device), -math.inf, logs)
    return _added(logs)


def _left(x: Tensor) -> Tensor:
    """Rows (x, |x|^2, 1), of which the product with the other side's is h - k |x - y|^2 / 2."""
    return torch.cat([x, x.square().sum(-1, keepdim=True), torch.ones_like(x[..., :1])], dim=-1)


def _right(terms: Terms) -> Tensor:
    """Rows (k y, -k / 2, h - k |y|^2 / 2)."""
    y, h, k = terms
    return torch.cat([k[:, None] * y, -0.5 * k[:, None], (h - 0.5 * k * y.square().sum(-1))[:, None]], dim=-1)


def _added(logs: Tensor) -> Tensor:
    """`logsumexp` over the last axis; may write into `logs`."""
    if logs.requires_grad or not is_eager():
        return logs.logsumexp(-1)
    top = logs.amax(-1, keepdim=True)
    logs = logs.sub_(torch.where(top.isfinite(), top, 0.0)).clamp_(min=_NOTHING)
    return logs.exp_().sum(-1).log() + top[..., 0]


def _sparse(x: Tensor, terms: Terms, own: Tensor | None) -> Tensor | None:
    """The same tile by tile, or None where too few terms would be left out."""
    with torch.no_grad():
        tiles = _tiles(x, _TILE)
        group = max(1, 1 << (max(len(tiles).bit_length() - 1, 0) // 2))  # so many tiles first look together
        near: list[Tensor] = []
        total = 0
        for several in tiles.split(group):
            (wide,) = _kept(x[several.flatten()][None], terms, leave_one_out=own is not None)
            found = _kept(x[several], terms.at(wide), leave_one_out=own is not None)
            near += [wide[index] for index in found]
            total += sum(map(len, found))
            if total > _WORTH * len(near) * len(terms.centres):
                return None
    # A row for the places that a tile with few terms leaves empty: a term of no weight.
    right = torch.nn.functional.pad(_right(terms), (0, 0, 0, 1))
    right = right + torch.nn.functional.pad(right.new_tensor([[_NEVER]]), (right.shape[1] - 1, 0, len(right) - 1, 0))
    order = sorted(range(len(near)), key=lambda i: len(near[i]))
    parts = [_several(x, tiles, near, right, some, own is not None) for some in _batches(near, order)]
    place = torch.empty(len(x), dtype=torch.long, device=x.device)
    place[tiles[order].flatten()] = torch.arange(tiles.numel(), device=x.device)
    return torch.cat(parts)[place]


def _batches(near: list[Tensor], order: list[int]) -> list[list[int]]:
    """Tiles by increasing number of terms, cut so that each batch fits the cache and none is padded to the double."""
    batches: list[list[int]] = []
    for i in order:
        last = batches[-1] if batches else []
        fits = last and _TILE * (len(last) + 1) * len(near[i]) <= _BLOCK and len(near[i]) <= 2 * len(near[last[0]])
        if fits:
            last.append(i)
        else:
            batches.append([i])
    return batches


def _several(
    x: Tensor, tiles: Tensor, near: list[Tensor], right: Tensor, which: list[int], leave_one_out: bool
) -> Tensor:
    """The sums at the points of some tiles, one tile after the other."""
    index = torch.nn.utils.rnn.pad_sequence([near[i] for i in which], batch_first=True, padding_value=len(right) - 1)
    columns, parts = right[index].mT, []
    for points in tiles[which].split(max(1, _BLOCK // index.numel()), dim=1):
        logs = _left(x[points]) @ columns
        if leave_one_out:
            logs = torch.where(points[..., None] == index[:, None], -math.inf, logs)
        parts.append(_added(logs))
    return torch.cat(parts, 1).flatten()


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
