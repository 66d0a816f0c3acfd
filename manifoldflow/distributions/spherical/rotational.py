"""What distributions that are rotationally symmetric about a mean direction share: arguments, moments, draws."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions.constraints import Constraint

from ..._geomstats import Manifold
from ...manifolds import Hypersphere
from ...manifolds.rows import is_recorded
from ..base import BaseDistribution, Parameter
from ..constraints import beside_loc, check_vector, finite_nonnegative, last_size

__all__ = ["AroundLoc", "around"]


class AroundLoc(BaseDistribution):
    """A density of mu.s alone, with a mean direction `loc` and a `concentration`; argument checks and shapes."""

    arg_constraints: ClassVar[dict[str, Constraint]] = {"loc": sphere, "concentration": finite_nonnegative}
    support = sphere
    has_rsample = True

    loc = Parameter(event_dim=1)
    concentration = Parameter(like="loc")

    def __init__(self, loc: Tensor, concentration: Tensor | float, *, validate_args: bool | None = None) -> None:
        check_vector("loc", loc, least=2)
        concentration, batch_shape = beside_loc("concentration", concentration, loc, keep=True)
        self.loc, self.concentration = loc, concentration
        super().__init__(batch_shape, Size((last_size(loc),)), validate_args=validate_args)

    @property
    def _row(self) -> Tensor:
        """The mean direction; one row if the whole batch shares it, which is faster to sample with."""
        return self._loc if self._loc.dim() == 1 else self.loc

    @property
    def ambient_dim(self) -> int:
        """n, the number of coordinates."""
        return self.event_shape[-1]

    @property
    def manifold(self) -> Manifold:
        return Hypersphere(self.ambient_dim - 1)

    @property
    def mode(self) -> Tensor:
        """The mean direction (any direction, where the concentration is 0)."""
        return self.loc

    @property
    def mean_resultant_length(self) -> Tensor:
        """E[mu.s], shape `batch`."""
        raise NotImplementedError

    @property
    def cosine_variance(self) -> Tensor:
        """The variance of mu.s, shape `batch`."""
        raise NotImplementedError

    @property
    def transverse_variance(self) -> Tensor:
        """The variance of e.s for a unit vector e orthogonal to mu, E[1 - (mu.s)^2] / (n - 1), shape `batch`."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, inside the sphere, shape `(*batch, n)`."""
        return self.mean_resultant_length[..., None] * self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate, the diagonal of `covariance_matrix`, shape `(*batch, n)`."""
        across = self.transverse_variance[..., None]
        return across + (self.cosine_variance[..., None] - across) * self.loc.square()

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance of the coordinates, shape `(*batch, n, n)`."""
        across = self.transverse_variance[..., None, None]
        outer = self.loc[..., :, None] * self.loc[..., None, :]
        identity = torch.eye(self.ambient_dim, dtype=self.loc.dtype, device=self.loc.device)
        return across * identity + (self.cosine_variance[..., None, None] - across) * outer

    def _squared_chord(self, value: Tensor) -> Tensor:
        """|s - mu|^2 = 2 (1 - mu.s) as float64, with the digits that 1 - mu.s would lose near the mode."""
        # In float64: where log density and normaliser nearly cancel, float32 squares would show.
        difference = value.double() - self._row.double()
        return (difference * difference).sum(-1)


_FEW = 16


def around(loc: Tensor, cos: Tensor, sin: Tensor, shape: Size) -> Tensor:
    r"""Points :math:`\cos\theta\,\mu + \sin\theta\,\xi` with :math:`\xi` uniform and orthogonal to `loc`.

    `shape` is that of the result; `cos` and `sin`, float64, have its leading dimensions; `loc` broadcasts to it.
    The result has the dtype of `loc` and is a differentiable function of all three.
    """
    if loc.requires_grad:
        # Of the ways to extend this off the sphere, the one whose gradient is tangent.
        loc = loc / torch.linalg.vector_norm(loc, dim=-1, keepdim=True)
    if shape[-1] <= 3:
        return _from_frame(loc, cos.to(loc.dtype), sin.to(loc.dtype))
    # xi is one normal vector projected off mu and normalised.
    noise = torch.randn(shape, dtype=loc.dtype, device=loc.device)
    if shape[-1] < _FEW:
        # Much of a short vector may lie along loc: project first as well, so that rounding does not bend xi.
        noise = noise - (noise * loc).sum(-1, keepdim=True) * loc
    dot = (noise @ loc) if loc.dim() == 1 else (noise * loc).sum(-1)
    square = torch.linalg.vector_norm(noise, dim=-1).square() - dot.square()
    scale = sin / square.double().sqrt()
    shift = (cos - scale * dot).to(loc.dtype)[..., None]
    scale = scale.to(loc.dtype)[..., None]
    if scale.requires_grad or shift.requires_grad or loc.requires_grad:
        return torch.addcmul(noise * scale, loc, shift)
    return noise.mul_(scale).addcmul_(loc, shift)


def _from_frame(loc: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same in the plane and in space, where an orthonormal frame is cheaper than a projection."""
    if loc.shape[-1] == 2:
        sign = torch.randint(0, 2, cos.shape, dtype=loc.dtype, device=loc.device).mul_(2).sub_(1)
        across = torch.stack([-loc[..., 1], loc[..., 0]], dim=-1)
        return cos[..., None] * loc + (sign * sin)[..., None] * across
    phase = torch.rand(cos.shape, dtype=loc.dtype, device=loc.device).mul_(2 * math.pi)
    if loc.dim() == 1 and loc.is_cpu and not is_recorded(loc, cos, sin):
        # Few calls of torch: columns side by side in memory, and the frame from plain numbers.
        columns = torch.empty(3, *cos.shape, dtype=loc.dtype)
        columns[0] = cos
        torch.mul(phase.cos(), sin, out=columns[1])
        torch.mul(phase.sin_(), sin, out=columns[2])
        x, y, z = loc.tolist()
        frame = torch.tensor(_axes(x, y, z, -1.0 if z < 0 else 1.0), dtype=loc.dtype)
        return (columns.view(3, -1).mT @ frame).view(*cos.shape, 3)
    weights = torch.stack([cos, sin * phase.cos(), sin * phase.sin()], dim=-1)
    frame = _frame(loc)
    return weights @ frame if loc.dim() == 1 else (weights[..., None, :] @ frame)[..., 0, :]


def _axes(x: Any, y: Any, z: Any, sign: Any) -> tuple[tuple[Any, Any, Any], ...]:
    """Rows loc, e1, e2 from the coordinates of loc, numbers or tensors, and the sign of the last."""
    a = -1 / (sign + z)
    b = x * y * a
    return (x, y, z), (1 + sign * x * x * a, sign * b, -sign * x), (b, sign + y * y * a, -y)


def _frame(loc: Tensor) -> Tensor:
    """Rows loc, e1, e2, orthonormal and without cancellation (T. Duff et al., JCGT 6(1), 2017), shape `(..., 3, 3)`."""
    x, y, z = loc.unbind(-1)
    sign = torch.where(z < 0, -1.0, 1.0).to(loc)
    return torch.stack([torch.stack(row, dim=-1) for row in _axes(x, y, z, sign)], dim=-2)
