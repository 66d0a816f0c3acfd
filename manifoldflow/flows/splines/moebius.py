r"""Convex mixtures of Moebius maps of the circle, one for each element of a batch, with their inverse.

The Moebius map with centre w in the unit disk turns the point z of the circle by 2 arg(1 - conj(w) z) backwards, with
slope (1 - |w|^2) / |z - w|^2. That displacement is smooth and less than half a turn, so a mixture of maps is the
mixture of displacements: monotone, without any lifting of angles.

Reference: D. J. Rezende et al., Normalizing flows on tori and spheres, ICML 2020 (arXiv 2002.02428), section 2.1.2.
"""

import math

import torch
from torch import Tensor

__all__ = ["MoebiusMixture"]

_LARGEST = 0.99  # the largest modulus of a centre, where the slope is 199


class MoebiusMixture:
    r"""Monotone maps of the circle, one for each element of a batch: convex mixtures of Moebius maps.

    Args:
        raw: Real numbers `(*batch, 3 m)`, for the weights, the signed moduli and the directions of m centres. Zeros
            give the identity; the directions start evenly spread over half a turn.

    Values are angles that differ from x by less than pi, not wrapped; wrapped, the map is a smooth bijection of the
    circle.

    >>> mixture = MoebiusMixture(torch.zeros(2, 3 * 4))
    >>> mixture(torch.tensor([0.5, -3.0]))[0]
    tensor([ 0.5000, -3.0000])
    """

    def __init__(self, raw: Tensor) -> None:
        weights, modulus, direction = raw.unflatten(-1, (3, -1)).unbind(-2)
        self.weights = torch.softmax(weights, -1)
        modulus = _LARGEST * modulus * torch.rsqrt(1 + modulus * modulus)
        count = raw.shape[-1] // 3
        direction = direction + torch.arange(count, dtype=raw.dtype, device=raw.device) * (math.pi / count)
        self.real, self.imag = modulus * direction.cos(), modulus * direction.sin()

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Angles `(*batch,)` of angles x, and the log slopes."""
        value, slope = self._evaluate(x)
        return value, slope.log()

    def inverse(self, y: Tensor) -> Tensor:
        """The angles, within pi of y, whose values are y; derivatives by the implicit function theorem.

        Bisection in a bracket, then Newton's method; its last two steps carry the derivatives, up to the third order.
        """
        with torch.no_grad():
            double = y.dtype == torch.float64
            low, high = y - math.pi, y + math.pi
            for _ in range(30 if double else 16):
                x = (low + high) / 2
                above = self._evaluate(x)[0] > y
                low, high = torch.where(above, low, x), torch.where(above, x, high)
            x = (low + high) / 2
            for _ in range(2):
                value, slope = self._evaluate(x)
                x = torch.minimum(torch.maximum(x - (value - y) / slope, low), high)
        for _ in range(2):
            value, slope = self._evaluate(x)
            x = x - (value - y) / slope
        return x

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = x.cos()[..., None], x.sin()[..., None]
        along = self.real * cos + self.imag * sin
        across = self.real * sin - self.imag * cos
        turn = 2 * torch.atan2(across, 1 - along)
        size = self.real * self.real + self.imag * self.imag
        slope = (1 - size) / (1 - 2 * along + size)
        return x + (self.weights * turn).sum(-1), (self.weights * slope).sum(-1)
