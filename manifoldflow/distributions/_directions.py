"""Points on the sphere from the angle to a mean direction."""

import math

import torch
from torch import Size, Tensor

__all__ = ["around"]

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
    weights = torch.stack([cos, sin * phase.cos(), sin * phase.sin()], dim=-1)
    frame = _frame(loc)
    return weights @ frame if loc.dim() == 1 else (weights[..., None, :] @ frame)[..., 0, :]


def _frame(loc: Tensor) -> Tensor:
    """Rows loc, e1, e2, orthonormal and without cancellation (T. Duff et al., JCGT 6(1), 2017), shape `(..., 3, 3)`."""
    x, y, z = loc.unbind(-1)
    sign = torch.where(z < 0, -1.0, 1.0).to(loc)
    a = -1 / (sign + z)
    b = x * y * a
    first = torch.stack([1 + sign * x * x * a, sign * b, -sign * x], dim=-1)
    second = torch.stack([b, sign + y * y * a, -y], dim=-1)
    return torch.stack([loc, first, second], dim=-2)
