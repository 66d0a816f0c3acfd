r"""Geodesic motion of all latent sites at once, in one flat vector: straight lines and great circles.

The state is a position q and a momentum p. Flat coordinates come first; then spheres, those of one dimension side by
side, so that a step costs the same few tensor operations whatever the number of sites. Each sphere has one inverse
mass w, which makes its metric :math:`1/w` times the round one; great circles stay geodesics. The kinetic energy is
:math:`\frac12 \sum_i w_i p_i^2` with p tangent, the potential is that of a density relative to area and length.

Reference: S. Byrne and M. Girolami, Geodesic Monte Carlo on Embedded Manifolds, 2013 (arXiv 1301.6064), algorithm 1
and section 4.2.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .motion import Part

__all__ = ["Geodesics", "Site"]

_FASTEST = math.pi / 2  # radians of a great circle that a step takes at most, at the typical speed


class Site(NamedTuple):
    """The coordinates of a site: their shape and dtype, and how the last dimension divides; None if all are flat."""

    shape: torch.Size
    dtype: torch.dtype
    parts: tuple[Part, ...] | None = None


class Geodesics:
    """Positions, momenta and geodesic steps of named sites in flat vectors.

    Args:
        sites: The coordinates of each site by name.
        device: Where the vectors live.

    `flat` is the number of flat coordinates; `groups` lists start, end and ambient dimension n of spheres.
    """

    def __init__(self, sites: Mapping[str, Site], device: torch.device) -> None:
        self.sites = dict(sites)
        flats: list[Tensor] = []
        spheres: dict[int, list[Tensor]] = {}
        start = 0
        for site in self.sites.values():
            width = site.shape[-1] if site.parts else 1
            rows = torch.arange(start, start + site.shape.numel()).reshape(-1, width)
            start += site.shape.numel()
            column = 0
            for size, curved in site.parts or ((1, False),):
                block = rows[:, column : column + size].reshape(-1)
                spheres.setdefault(size, []).append(block) if curved else flats.append(block)
                column += size
        self.size = start
        self.flat = sum(block.numel() for block in flats)
        order, self.groups = list(flats), []
        end = self.flat
        for n, blocks in sorted(spheres.items()):
            order += blocks
            length = sum(block.numel() for block in blocks)
            self.groups.append((end, end + length, n))
            end += length
        moved = torch.cat(order) if order else torch.zeros(0, dtype=torch.long)
        where = torch.empty_like(moved)
        where[moved] = torch.arange(self.size)
        self._order = None if torch.equal(moved, torch.arange(self.size)) else moved.to(device)
        self._places: dict[str, slice | Tensor] = {}
        start = 0
        for name, site in self.sites.items():
            place = where[start : start + site.shape.numel()]
            start += site.shape.numel()
            first = int(place[0]) if len(place) else 0
            run = torch.equal(place, torch.arange(first, first + len(place)))
            self._places[name] = slice(first, first + len(place)) if run else place.to(device)

    def pack(self, coordinates: Mapping[str, Tensor]) -> Tensor:
        """The vector that holds the coordinates of every site, each sphere's normalised."""
        q = torch.cat([coordinates[name].reshape(-1) for name in self.sites])
        return self.retract(q if self._order is None else q[self._order])

    def unpack(self, q: Tensor) -> dict[str, Tensor]:
        """The coordinates of every site."""
        return {
            name: q[place].reshape(self.sites[name].shape).to(self.sites[name].dtype)
            for name, place in self._places.items()
        }

    def retract(self, q: Tensor) -> Tensor:
        """The position with every sphere's coordinates divided by their norm."""
        pieces = [q[: self.flat]]
        for start, end, n in self.groups:
            x = q[start:end].view(-1, n)
            pieces.append((x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)).view(-1))
        return _joined(pieces)

    def tangent(self, q: Tensor, u: Tensor) -> Tensor:
        """The part of a vector that is tangent at q."""
        pieces = [u[: self.flat]]
        for start, end, n in self.groups:
            x, v = q[start:end].view(-1, n), u[start:end].view(-1, n)
            pieces.append(torch.addcmul(v, x, (x * v).sum(-1, keepdim=True), value=-1).view(-1))
        return _joined(pieces)

    def advance(self, q: Tensor, p: Tensor, inverse_mass: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """Position and momentum after moving along the geodesics for a time, which may be negative."""
        positions = [torch.addcmul(q[: self.flat], inverse_mass[: self.flat], p[: self.flat], value=time)]
        momenta = [p[: self.flat]]
        for start, end, n in self.groups:
            x, u, w = (a[start:end].view(-1, n) for a in (q, p, inverse_mass))
            w = w[:, :1]
            length = torch.linalg.vector_norm(u, dim=-1, keepdim=True)
            angle = time * w * length
            cosine, sine = angle.cos(), angle.sin()
            along = sine / length.clamp_min(torch.finfo(u.dtype).tiny)  # 0 at rest
            moved = torch.addcmul(x * cosine, u, along)
            turned = torch.addcmul(u * cosine, x, sine * length, value=-1)
            # A point stays on its sphere over any number of steps; of a momentum, drawn afresh, rounding is harmless.
            moved = moved / torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
            positions.append(moved.view(-1))
            momenta.append(turned.view(-1))
        return _joined(positions), _joined(momenta)

    def momentum(self, q: Tensor, inverse_mass: Tensor) -> Tensor:
        """A random momentum of the canonical distribution at q."""
        return self.tangent(q, torch.randn_like(q) / inverse_mass.sqrt())

    def unit_inverse_mass(self, q: Tensor) -> Tensor:
        """1 for flat coordinates; 1 / d on a sphere of dimension d, so that points move at about unit speed."""
        inverse_mass = torch.ones_like(q)
        for start, end, n in self.groups:
            inverse_mass[start:end] = 1 / max(1, n - 1)
        return inverse_mass

    def inverse_mass(self, variance: Tensor) -> Tensor:
        """Inverse masses from the variance of each coordinate: a sphere's is their sum over its dimension."""
        inverse_mass = variance.clone()
        for start, end, n in self.groups:
            rows = inverse_mass[start:end].view(-1, n)
            rows[:] = rows.sum(-1, keepdim=True) / max(1, n - 1)
        return inverse_mass

    def longest_step(self, inverse_mass: Tensor) -> float:
        """The step in which the fastest sphere typically takes a quarter of a circle; infinite without spheres.

        Where a density is flat every step is accepted, and only this bounds the step that the warm-up finds.
        """
        speeds = [float((n - 1) * inverse_mass[start:end].max()) for start, end, n in self.groups if n > 1]
        return _FASTEST / math.sqrt(max(speeds)) if speeds else math.inf


def _joined(pieces: list[Tensor]) -> Tensor:
    pieces = [piece for piece in pieces if piece.numel()] or pieces[:1]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
