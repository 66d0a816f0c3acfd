"""Starts in the right basin: shortest paths in a nearest-neighbour graph of samples."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .energy import CurveEnergy

__all__ = ["GraphStart", "multi_start", "resampled"]


def resampled(nodes: Tensor, segments: int, *, lengths: Tensor | None = None) -> Tensor:
    """A polyline `(pairs, m + 1, n)` as `segments + 1` nodes at equal steps of length.

    `lengths` `(pairs, m)` are those of the pieces; None counts every piece as 1.
    """
    pairs, count, _ = nodes.shape
    if lengths is None:
        covered = torch.linspace(0, 1, count, dtype=nodes.dtype, device=nodes.device).expand(pairs, count)
    else:
        covered = torch.cat([torch.zeros_like(lengths[:, :1]), lengths.cumsum(1)], 1)
        covered = covered / covered[:, -1:].clamp(min=torch.finfo(nodes.dtype).tiny)
    wanted = torch.linspace(0, 1, segments + 1, dtype=nodes.dtype, device=nodes.device).repeat(pairs, 1)
    index = torch.searchsorted(covered.contiguous(), wanted, right=True).clamp(1, count - 1)
    low, high = covered.gather(1, index - 1), covered.gather(1, index)
    share = ((wanted - low) / (high - low).clamp(min=torch.finfo(nodes.dtype).tiny)).clamp(0, 1)[..., None]
    row = torch.arange(pairs, device=nodes.device)[:, None]
    first, last = nodes[row, index - 1], nodes[row, index]
    result = first + share * (last - first)
    result[:, 0], result[:, -1] = nodes[:, 0], nodes[:, -1]
    return result


class GraphStart:
    """Starting paths through samples: the shortest ones in their k-nearest-neighbour graph.

    Edges are weighted by the length of the straight segment under the energy's metric, measured in a few pieces. A
    local method started there ends in the basin of the shortest path that the samples show.

    Args:
        energy: The energy to be minimised.
        samples: Points of the latent space `(m, n)`, usually draws of the prior; a thousand or more.
        neighbours: Neighbours of every point (scikit-learn's search, Euclidean in the latents).
        pieces: Pieces per edge.
        chunk: How many edges are measured at once, which bounds the memory.

    Raises:
        ValueError: Fewer samples than neighbours + 1, or samples that are not finite.
    """

    def __init__(
        self, energy: CurveEnergy, samples: Tensor, *, neighbours: int = 10, pieces: int = 4, chunk: int = 8192
    ) -> None:
        if samples.ndim != 2 or len(samples) <= neighbours or not bool(samples.isfinite().all()):
            raise ValueError(
                f"samples: expected more than {neighbours} finite points (m, n), got shape {tuple(samples.shape)}; "
                "draw more samples or lower neighbours"
            )
        from sklearn.neighbors import NearestNeighbors

        self.energy, self.pieces, self.chunk = energy, pieces, chunk
        self.neighbours = neighbours
        self.samples = energy.domain.enter(samples.detach())
        self._search = NearestNeighbors(n_neighbors=neighbours).fit(self.samples.cpu().numpy())
        near = self._search.kneighbors(return_distance=False)
        pairs = np.stack([np.repeat(np.arange(len(samples)), neighbours), near.reshape(-1)])
        # Both ends of an edge may name it, and each names itself.
        self._rows, self._columns = np.unique(np.sort(pairs[:, pairs[0] != pairs[1]], axis=0), axis=1)
        self._weights = self._costs(self.samples[self._rows], self.samples[self._columns])

    def _costs(self, first: Tensor, last: Tensor) -> np.ndarray:
        """Lengths of the segments between rows of points, as float64 on the CPU."""
        share = torch.linspace(0, 1, self.pieces + 1, dtype=first.dtype, device=first.device)[:, None]
        parts = []
        with torch.no_grad():
            for a, b in zip(first.split(self.chunk), last.split(self.chunk)):
                line = self.energy.domain.between(a[:, None], b[:, None], share)
                parts.append(self.energy.inner_segments(line).length.double().cpu())
        return torch.cat(parts).nan_to_num(nan=np.inf, posinf=np.inf).numpy()

    def __repr__(self) -> str:
        return f"GraphStart(samples={tuple(self.samples.shape)}, neighbours={self.neighbours})"

    def __call__(self, start: Tensor, end: Tensor, segments: int) -> Tensor:
        """Nodes `(pairs, segments + 1, n)` between points `(pairs, n)`; straight where the graph has no path."""
        domain = self.energy.domain
        return domain.leave(self.inner(domain.enter(start), domain.enter(end), segments))

    def inner(self, start: Tensor, end: Tensor, segments: int) -> Tensor:
        """The same in the coordinates of the energy's domain."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import dijkstra

        if not len(start):
            return start.new_zeros(0, segments + 1, start.shape[-1])
        m, pairs = len(self.samples), len(start)
        ends = torch.cat([start, end])
        near = self._search.kneighbors(ends.cpu().numpy(), return_distance=False)
        rows = np.repeat(np.arange(m, m + 2 * pairs), self.neighbours)
        columns = near.reshape(-1)
        weights = self._costs(ends[rows - m], self.samples[columns])
        # A pair must not take a short cut through another pair's end point: those have arrows on one side only.
        leaving, arriving = rows < m + pairs, rows >= m + pairs
        source = np.concatenate([self._rows, self._columns, rows[leaving], columns[arriving]])
        target = np.concatenate([self._columns, self._rows, columns[leaving], rows[arriving]])
        cost = np.concatenate([self._weights, self._weights, weights[leaving], weights[arriving]])
        usable = np.isfinite(cost)
        # Duplicate arrows would be added up; both directions of a mutual neighbourhood cost the same.
        size = m + 2 * pairs
        _, first = np.unique(source[usable].astype(np.int64) * size + target[usable], return_index=True)
        # A cost of zero would read as no edge.
        tiny = np.finfo(np.float64).tiny
        # In 32 bits, as dijkstra has them.
        arrows = source[usable][first].astype(np.int32), target[usable][first].astype(np.int32)
        graph = coo_array((np.maximum(cost[usable][first], tiny), arrows), shape=(size, size)).tocsr()
        _, before = dijkstra(graph, indices=np.arange(m, m + pairs), return_predecessors=True)
        points = torch.cat([self.samples, ends])
        return torch.cat([self._path(points, before[i], m + i, m + pairs + i, segments) for i in range(pairs)])

    def _path(self, points: Tensor, before: Any, first: int, last: int, segments: int) -> Tensor:
        way = [last]
        while way[-1] != first and before[way[-1]] >= 0:
            way.append(int(before[way[-1]]))
        if way[-1] != first:
            way = [last, first]
        corners = points[way[::-1]][None]
        with torch.no_grad():
            fine = self._on_domain(resampled(corners, self.pieces * (len(way) - 1)))
            lengths = self.energy.inner_segments(fine).lengths
            return self._on_domain(resampled(fine, segments, lengths=lengths))

    def _on_domain(self, nodes: Tensor) -> Tensor:
        return self.energy.domain.retract(nodes, torch.zeros_like(nodes))


def multi_start(
    energy: CurveEnergy, samples: Tensor, *, neighbours: Sequence[int] = (10, 20, 80)
) -> list[Literal["linear"] | GraphStart]:
    """Starts for priors with several basins, for `optimise(..., starts=...)`: every pair keeps the best result.

    A straight line, and graphs of the same samples: few neighbours follow the way along the samples, many know the
    short cuts across a gap.

    Args:
        energy: The energy to be minimised.
        samples: As in `GraphStart`; two thousand and more.
        neighbours: Of each graph.
    """
    return ["linear", *(GraphStart(energy, samples, neighbours=count) for count in neighbours)]
