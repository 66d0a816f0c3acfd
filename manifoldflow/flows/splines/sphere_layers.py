r"""Layers of a sphere's low dimensions: along an axis, around an axis, and rotations between them.

On S^k in coordinates x = (sqrt(1 - z^2) y, z) the area is (1 - z^2)^(k/2 - 1) dz dS(y). `AxisLayer` moves z by a spline
that depends on y, `TurnLayer` the angle of a plane by a circular spline that depends on the other coordinates.

Poles: near z = 1 everything is counted from there, by the share (1 - z) / 2 = |head|^2 / 2(1 + z), which keeps its
relative accuracy; the spline's end slopes do not depend on y, and the angle's spline tends to a rotation where its
plane shrinks to a point. So every layer is a homeomorphism with a continuous, finite density.

Reference: D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428), section 2.2.
"""

import math

import torch
from torch import Tensor, nn

from ...manifolds.rows import safe_sqrt
from .layers import Layer
from .networks import Conditioner
from .rational_quadratic import GENTLE, RationalQuadratic

__all__ = ["AxisLayer", "Rotation", "TurnLayer"]


class Rotation(Layer):
    """A learned rotation, after a cyclic shift of the coordinates; at first only the shift.

    Args:
        size: Number of coordinates n.
        shift: By how many places the coordinates move.
        reflections: Number of Householder reflections, even; as many as coordinates reach every rotation.

    >>> Rotation(3, 1)(torch.eye(3)[:1])[0]
    tensor([[0., 1., 0.]], grad_fn=<SubBackward0>)
    """

    def __init__(self, size: int, shift: int = 0, *, reflections: int = 4) -> None:
        super().__init__()
        self.shift = shift
        first = torch.eye(size).roll(1, 0).repeat(1 + reflections // (2 * size), 1)[: reflections // 2]
        self.normals = nn.Parameter(torch.stack([first, first], 1).flatten(0, 1))

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return _reflect(x.roll(self.shift, -1), self.normals.to(x.dtype)), x.new_zeros(x.shape[:-1])

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        return _reflect(y, self.normals.to(y.dtype).flip(0)).roll(-self.shift, -1)


def _reflect(x: Tensor, normals: Tensor) -> Tensor:
    """Points reflected at the planes of normals `(m, n)`, the first one first."""
    for normal, scale in zip(normals, 2 / (normals * normals).sum(-1)):
        x = x - (x @ normal * scale)[..., None] * normal
    return x


class AxisLayer(Layer):
    """Moves points of S^k along the axis of coordinate k, and leaves their directions around it.

    Args:
        size: Number of coordinates n of a point; the layer moves the first k + 1 and reads the others.
        level: k, from 2 to n - 1.
        bins: Of the spline.
        hidden: Width of the network.
        context_dim: Size of the context.
    """

    def __init__(self, size: int, level: int, *, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.level, self.bins = level, bins
        self.inner = Conditioner(size - 1, 3 * bins - 1, hidden, context_dim)
        self.ends = Conditioner(size - 1 - level, 2, hidden, context_dim)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        head, rest, radius, ends = self._split(x)
        up, down, low, high, log_slope = self._spline(head, rest, radius, context).from_ends(*ends)
        y = self._join(head, rest, radius, up, down, low * high)
        return y, log_slope + (self.level / 2 - 1) * (low * high).log()

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        head, rest, radius, ends = self._split(y)
        up, down, low, high = self._spline(head, rest, radius, context).inverse_from_ends(*ends)
        return self._join(head, rest, radius, up, down, low * high)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """The first k coordinates, those after the axis, the radius without these, (1 + z) / 2, (1 - z) / 2."""
        head, z, rest = x[..., : self.level], x[..., self.level], x[..., self.level + 1 :]
        square = (head * head).sum(-1)
        size = square + z * z
        radius = safe_sqrt(size)
        far = radius + z.abs()
        safe = torch.where(far > 0, 2 * radius * far, 1)
        small, large = square / safe, torch.where(far > 0, far * far / safe, 1)  # 0 has no direction: any will do
        up = z > 0
        return head, rest, radius, (torch.where(up, large, small), torch.where(up, small, large))

    def _spline(self, head: Tensor, rest: Tensor, radius: Tensor, context: Tensor | None) -> RationalQuadratic:
        inner = self.inner(torch.cat([direction(head), rest], -1), context)
        ends = self.ends(rest, context)
        raw = torch.cat([inner[..., : 2 * self.bins], ends[..., :1], inner[..., 2 * self.bins :], ends[..., 1:]], -1)
        return RationalQuadratic(raw * (radius * radius)[..., None] if rest.shape[-1] else raw, bounds=GENTLE)

    def _join(self, head: Tensor, rest: Tensor, radius: Tensor, up: Tensor, down: Tensor, ratio: Tensor) -> Tensor:
        z = radius * (up - down)
        return torch.cat([head * ratio.sqrt()[..., None], z[..., None], rest], -1)


class TurnLayer(Layer):
    """Moves the angle of the first two coordinates by a circular spline.

    Args:
        size: Number of coordinates n of a point; the network reads all but the first two.
        bins: Of the spline.
        hidden: Width of the network.
        context_dim: Size of the context.
    """

    def __init__(self, size: int, *, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.net = Conditioner(size - 2, 3 * bins + 1, hidden, context_dim)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        share, spline, shift = self._prepare(x, context)
        to, log_slope = spline(share)
        return self._turn(x, 2 * math.pi * (to - share) + shift), log_slope

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        _, spline, shift = self._prepare(y, context)
        back = self._turn(y, -shift)
        share = _share(back)
        return self._turn(back, 2 * math.pi * (spline.inverse(share) - share))

    def _prepare(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, RationalQuadratic, Tensor]:
        raw = self.net(x[..., 2:], context)
        spline, shift = raw[..., :-1], raw[..., -1]
        if x.shape[-1] > 2:
            spline = spline * (x[..., :2] * x[..., :2]).sum(-1, keepdim=True)
        return _share(x), RationalQuadratic(spline, circular=True, bounds=GENTLE), shift

    @staticmethod
    def _turn(x: Tensor, angle: Tensor) -> Tensor:
        a, b = x[..., 0], x[..., 1]
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([torch.stack([a * cos - b * sin, a * sin + b * cos], -1), x[..., 2:]], -1)


def _share(x: Tensor) -> Tensor:
    """The angle of the first two coordinates as a share of a turn, in [0, 1]; 1/2 where both are 0."""
    a, b = x[..., 0], x[..., 1]
    centre = (a == 0) & (b == 0)
    return (torch.atan2(b, torch.where(centre, 1, a)) / (2 * math.pi) + 0.5).clamp(0, 1)


def direction(head: Tensor) -> Tensor:
    """The unit vectors of vectors `(*batch, k)`; 0 and with derivative 0 where all coordinates are 0."""
    largest = head.detach().abs().amax(-1, keepdim=True)
    scaled = head / torch.where(largest > 0, largest, 1)
    size = (scaled * scaled).sum(-1, keepdim=True)
    return torch.where(size > 0, scaled * torch.where(size > 0, size, 1).rsqrt(), 0)
