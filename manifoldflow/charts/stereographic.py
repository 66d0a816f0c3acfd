"""Stereographic projection: the sphere without its north pole as R^d."""

import math
from typing import Self

import torch
from pyro.distributions import TransformModule
from pyro.distributions.constraints import sphere
from torch import Tensor

from ..checks import check_number
from ..manifolds import Hypersphere
from .chart import Chart, check_last, default_chart

__all__ = ["Stereographic"]


class Stereographic(Chart, TransformModule):
    r"""Stereographic projection from the north pole (0, ..., 0, 1), R^d -> S^d in R^{d+1}.

    With :math:`y = z / r` and :math:`\rho = 2 / (1 + |y|^2)`,

    .. math:: s = [\rho y ; 1 - \rho], \qquad
              \log\text{-volume} = d \log \rho - d \log r,

    the volume being surface area. z = 0 is the south pole; the north pole is never reached. A von
    Mises-Fisher distribution with mean there and concentration :math:`\kappa` has typical
    :math:`|z|/r = \sqrt{(1-A)/(1+A)}`, about 0.5 where :math:`\kappa` is a few times d: a flow should
    start with outputs of that norm (or with r twice its own typical norm), not with norm sqrt(d).

    Args:
        dim: d >= 1.
        scale: r > 0, a number or a tensor of shape `()`.
        learnable: Whether r is trained (through its logarithm, the parameter `log_scale`).

    Inputs of shape `(*batch, d)`, float32 or float64; finite values and gradients for |z|/r below the square
    root of the dtype's largest number. The inverse of the north pole itself is infinite or NaN.

    Raises:
        ValueError: `dim` or `scale` is not positive, or a shape does not match.

    Reference: arXiv 2010.12059, section 3.
    """

    codomain = sphere

    def __init__(self, dim: int, scale: float | Tensor = 1.0, *, learnable: bool = False, cache_size: int = 0) -> None:
        value = check_number("scale", scale, positive=True)
        super().__init__(dim, cache_size=cache_size)
        self.learnable = learnable
        if learnable:
            self.log_scale = torch.nn.Parameter(torch.tensor(math.log(value)))
        else:
            self.fixed_scale = scale

    @property
    def ambient_dim(self) -> int:
        return self.dim + 1

    @property
    def scale(self) -> float | Tensor:
        return self.log_scale.exp() if self.learnable else self.fixed_scale

    def _scale_like(self, z: Tensor) -> float | Tensor:
        if self.learnable:
            return self.log_scale.to(z).exp()
        return self.fixed_scale.to(z) if isinstance(self.fixed_scale, Tensor) else self.fixed_scale

    def _log_scale_like(self, z: Tensor) -> float | Tensor:
        if self.learnable:
            return self.log_scale.to(z)
        return self.fixed_scale.log().to(z) if isinstance(self.fixed_scale, Tensor) else math.log(self.fixed_scale)

    def _number(self) -> float:
        return float(torch.as_tensor(self.scale).detach())

    def with_cache(self, cache_size: int = 1) -> Self:
        """As of every chart; a learnable one is not copied, since the copy would have a parameter of its own."""
        if cache_size == self._cache_size:
            return self
        if self.learnable:
            raise ValueError(f"cache_size: a learnable chart is not copied; build it with cache_size={cache_size}")
        return type(self)(self.dim, self.fixed_scale, cache_size=cache_size)

    def _scaled(self, z: Tensor) -> tuple[Tensor, Tensor]:
        check_last("z", z, self.dim, self)
        y = z / self._scale_like(z)
        return y, (y * y).sum(-1, keepdim=True)

    def _call(self, z: Tensor) -> Tensor:
        y, square = self._scaled(z)
        rho = 2 / (1 + square)
        return torch.cat([rho * y, 1 - rho], dim=-1)

    def _inverse(self, s: Tensor) -> Tensor:
        check_last("s", s, self.dim + 1, self)
        head, last = s[..., :-1], s[..., -1:]
        # 1 - last has no correct digits near the north pole; |head|^2 = (1 - last)(1 + last) has.
        north = last > 0
        above = torch.where(north, 1 + last, torch.ones_like(last))
        below = torch.where(north, (head * head).sum(-1, keepdim=True), 1 - last)
        return head * (above / below) * self._scale_like(s)

    def log_volume(self, z: Tensor) -> Tensor:
        _, square = self._scaled(z)
        return self.dim * (math.log(2.0) - torch.log1p(square.squeeze(-1)) - self._log_scale_like(z))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Stereographic) or self.learnable or other.learnable:
            return False
        return self.dim == other.dim and self._number() == other._number()

    def __hash__(self) -> int:
        return id(self) if self.learnable else hash((type(self), self.dim, self._number()))

    def __repr__(self) -> str:
        scale = self._number()
        return f"Stereographic({self.dim}" + (f", scale={scale:g})" if scale != 1 else ")")


@default_chart.register
def _chart_of_sphere(space: Hypersphere) -> Stereographic:
    return Stereographic(space.dim)
