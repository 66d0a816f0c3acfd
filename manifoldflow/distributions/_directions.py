"""Points on the sphere from an angle to a mean direction."""

import torch
from torch import Tensor

__all__ = ["around"]

_LOW_DIMENSION = 16


def around(loc: Tensor, theta: Tensor, shape: torch.Size) -> Tensor:
    r"""Points :math:`\cos\theta\,\mu + \sin\theta\,\xi` at the angles `theta` from `loc`, :math:`\xi` uniform.

    `shape` is that of the result, `theta` of its leading dimensions, float64. :math:`\xi` is one normal
    vector projected off :math:`\mu` and normalised. The result is a differentiable function of both.
    """
    noise = torch.randn(shape, dtype=loc.dtype, device=loc.device)
    if loc.requires_grad:
        # Of the ways to extend this off the sphere, the one whose gradient is tangent.
        loc = loc / torch.linalg.vector_norm(loc, dim=-1, keepdim=True)
    if shape[-1] < _LOW_DIMENSION:
        # Most of a short vector may lie along loc: project first, so that rounding does not bend xi.
        noise = noise - (noise * loc).sum(-1, keepdim=True) * loc
    dot = (noise @ loc) if loc.dim() == 1 else (noise * loc).sum(-1)
    square = torch.linalg.vector_norm(noise, dim=-1).square() - dot.square()
    scale = torch.sin(theta) / square.double().sqrt()
    shift = torch.cos(theta) - scale * dot
    scale, shift = scale.to(loc.dtype)[..., None], shift.to(loc.dtype)[..., None]
    return torch.addcmul(noise * scale, loc, shift)
