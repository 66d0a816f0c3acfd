r"""Layers of spheres of any dimension, at a cost linear in it: conformal, projective, and coupling of blocks.

On S^(n-1) a conformal map with centre w, |w| < 1, is

.. math:: h_w(x) = (1 - |w|^2) \frac{x - w}{|x - w|^2} - w,

with the inverse :math:`h_{-w}` and the log-volume :math:`(n - 1) \log\big((1 - |w|^2) / |x - w|^2\big)`; a projective
one is x -> Mx / |Mx|, with the log-volume log |det M| - n log |Mx|. In blocks x = (x_1, x_2) the direction of x_1 is
moved by such maps of its own sphere, which depend on x_2; where x_1 vanishes they tend to the identity, so that the
density stays continuous. The angle between the blocks is moved by a spline.

Reference: D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428), for the conformal
maps of the circle.
"""

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from ...manifolds.rows import safe_sqrt
from .layers import Layer
from .networks import Conditioner
from .rational_quadratic import WIDE, RationalQuadratic
from .sphere_layers import direction

__all__ = ["BlockCoupling", "SphereMap", "SplitLayer"]

_LARGEST = 0.99
"""The largest norm of a centre: a map stretches areas by less than 200^(n-1)."""
_LOG_BOUND = 2.0


def conformal(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """h_w of unit vectors `(*batch, n)`, and its log-volume."""
    off = x - centre
    gap = 1 - (centre * centre).sum(-1, keepdim=True)
    square = (off * off).sum(-1, keepdim=True)
    ratio = gap / square
    return ratio * off - centre, (x.shape[-1] - 1) * ratio[..., 0].log()


def projective(x: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """e^a x, normalised, of unit vectors `(*batch, n)` with a of that shape, and its log-volume."""
    moved = log_scale.exp() * x
    norm = torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
    return moved / norm, log_scale.sum(-1) - x.shape[-1] * norm[..., 0].log()


def _parts(raw: Tensor) -> tuple[Tensor, Tensor]:
    """A centre and log scales from real numbers `(*batch, 2 n)`."""
    centre, scale = raw.chunk(2, -1)
    centre = _LARGEST * centre / (1 + (centre * centre).sum(-1, keepdim=True)).sqrt()
    return centre, _LOG_BOUND * torch.tanh(scale / _LOG_BOUND)


def mapped(x: Tensor, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Unit vectors after the conformal and then the projective map of those parts, and the log-volume."""
    centre, log_scale = parts
    y, first = conformal(x, centre)
    y, second = projective(y, log_scale)
    return y, first + second


def unmapped(y: Tensor, parts: tuple[Tensor, Tensor]) -> Tensor:
    """The unit vectors that `mapped` takes to y."""
    centre, log_scale = parts
    return conformal(projective(y, -log_scale)[0], -centre)[0]


class SphereMap(Layer):
    """A conformal map, then a projective one along the axes, of the whole sphere; they depend on the context only.

    Args:
        size: Number of coordinates n.
        hidden: Width of the network.
        context_dim: Size of the context.

    >>> SphereMap(3, hidden=8)(torch.eye(3)[:1])[0]
    tensor([[1., 0., 0.]], grad_fn=<DivBackward0>)
    """

    def __init__(self, size: int, *, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.net = Conditioner(0, 2 * size, hidden, context_dim)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return mapped(x, _parts(self.net(x[..., :0], context)))

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        return unmapped(y, _parts(self.net(y[..., :0], context)))


class BlockCoupling(Layer):
    """Moves the direction of one block of coordinates on its own sphere, given the other block.

    Args:
        size: Number of coordinates n, at least 4.
        first: Whether the first half of the coordinates moves, or the second.
        hidden: Width of the network.
        context_dim: Size of the context.
    """

    def __init__(self, size: int, *, first: bool, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.first, self.cut = first, size // 2
        moved = self.cut if first else size - self.cut
        self.net = Conditioner(size - moved, 2 * moved, hidden, context_dim)
        self.unit = size**0.5  # coordinates of the size that networks expect

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moved, kept, radius = self._split(x)
        y, ladj = mapped(_safe(direction(moved), radius), self._maps(kept, radius, context))
        inside = radius > 0
        return self._join(torch.where(inside, radius * y, moved), kept), torch.where(inside[..., 0], ladj, 0)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        moved, kept, radius = self._split(y)
        x = unmapped(_safe(direction(moved), radius), self._maps(kept, radius, context))
        return self._join(torch.where(radius > 0, radius * x, moved), kept)

    def _maps(self, kept: Tensor, radius: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return _parts(self.net(self.unit * kept, context) * radius * radius)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = x.split([self.cut, x.shape[-1] - self.cut], -1)
        moved, kept = (a, b) if self.first else (b, a)
        return moved, kept, safe_sqrt((moved * moved).sum(-1, keepdim=True))

    def _join(self, moved: Tensor, kept: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.first else [kept, moved], -1)


def _safe(unit: Tensor, radius: Tensor) -> Tensor:
    """Some unit vector where a block vanishes."""
    return torch.where(radius > 0, unit, unit.shape[-1] ** -0.5)


class SplitLayer(Layer):
    r"""Moves the angle between two blocks of coordinates by a spline, given the directions in both.

    In coordinates :math:`x = (\sqrt{1-s}\, u, \sqrt{s}\, v)`, u of p and v of q coordinates, the area is
    :math:`s^{q/2-1} (1-s)^{p/2-1} ds\, dS(u)\, dS(v) / 2`. At first the knots are quantiles of s under the uniform law.
    The spline's slope at s = 0 does not depend on v, which has no direction there, nor that at 1 on u, so that
    densities are continuous.

    Args:
        size: Number of coordinates n; the first half of them is one block.
        bins: Of the spline.
        hidden: Width of the networks.
        context_dim: Size of the context.
    """

    knots: Tensor

    def __init__(self, size: int, *, bins: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.cut, self.rest, self.bins = size // 2, size - size // 2, bins
        self.inner = Conditioner(size, 3 * bins - 1, hidden, context_dim)
        self.ends = nn.ModuleList(Conditioner(n, 1, hidden, context_dim) for n in (self.cut, self.rest))
        at = stats.beta(self.rest / 2, self.cut / 2).ppf(np.linspace(0, 1, bins + 1))
        shares = (np.diff(at) - WIDE.floor / bins) / (1 - WIDE.floor)
        widths = torch.from_numpy(np.log(np.maximum(shares, 1e-4))).to(torch.get_default_dtype())
        self.register_buffer("knots", torch.cat([widths, widths]), persistent=False)

    def call_and_ladj(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a, b, shares = self._split(x)
        _, _, low, high, log_slope = self._spline(a, b, context).from_ends(*shares)
        ladj = log_slope + (self.rest / 2 - 1) * low.log() + (self.cut / 2 - 1) * high.log()
        return _scaled(a, high, b, low), ladj

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        a, b, shares = self._split(y)
        _, _, low, high = self._spline(a, b, context).inverse_from_ends(*shares)
        return _scaled(a, high, b, low)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Both blocks, and the shares s and 1 - s of the second and the first in the square norm."""
        a, b = x.split([self.cut, self.rest], -1)
        first, second = (a * a).sum(-1), (b * b).sum(-1)
        return a, b, (second / (first + second), first / (first + second))

    def _spline(self, a: Tensor, b: Tensor, context: Tensor | None) -> RationalQuadratic:
        u, v = direction(a), direction(b)
        inner = self.inner(torch.cat([u, v], -1), context)
        near, far = (net(w, context) for net, w in zip(self.ends, (u, v)))
        shapes, slopes = inner.split([2 * self.bins, self.bins - 1], -1)
        return RationalQuadratic(torch.cat([shapes + self.knots.to(shapes), near, slopes, far], -1))


def _scaled(a: Tensor, by: Tensor, b: Tensor, and_by: Tensor) -> Tensor:
    """Two blocks side by side, their square norms multiplied by numbers `(*batch,)`."""
    return torch.cat([a * by.sqrt()[..., None], b * and_by.sqrt()[..., None]], -1)
