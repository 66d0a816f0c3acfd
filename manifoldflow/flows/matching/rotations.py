r"""Geodesics of geomstats' SO(3) in closed form: its own logarithm takes one matrix at a time.

A rotation by the angle theta about the axis a has the unit quaternion q = (cos(theta / 2), a sin(theta / 2)). The
products 4 q_i q_j are sums of the matrix's entries, so that one row of them, that of the largest q_i^2, gives q without
cancellation at any angle; log is 2 arctan2(|q_v|, q_0) a, and exp Rodrigues' formula.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..._geomstats import BiInvariantMetric, RotationMatrices
from ...manifolds.rows import cos_sinc, safe_sqrt
from .divergence import smooth_projection
from .paths import cut_locus, default_geodesic, joining

__all__ = ["rotation_exp", "rotation_log"]


def rotation_log(rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation vectors `(*batch, 3)` of matrices `(*batch, 3, 3)`, and which of them turn by pi, about either axis.

    Derivatives are finite, those of half a turn included.
    """
    r = rotation
    x, y, z = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    squares = torch.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], -1)
    a, b, c = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    f, g, h = r[..., 1, 0] + r[..., 0, 1], r[..., 0, 2] + r[..., 2, 0], r[..., 2, 1] + r[..., 1, 2]
    w, x, y, z = squares.unbind(-1)
    products = torch.stack([w, a, b, c, a, x, f, g, b, f, y, h, c, g, h, z], -1).unflatten(-1, (4, 4))
    largest = squares.detach().argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    row = products.gather(-2, largest).squeeze(-2)
    q = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)  # of norm 1 or more: the largest square is 1 or more
    q = q * torch.where(q[..., :1] < 0, -1.0, 1.0)
    real, imaginary = q[..., :1], q[..., 1:]
    square = imaginary.square().sum(-1, keepdim=True)
    small = square < 1e-4
    size = safe_sqrt(torch.where(small, 1.0, square))
    near = 2 + square * (1 / 3 + square * (3 / 20 + square * 5 / 56))  # 2 arcsin(s) / s in s^2
    scale = torch.where(small, near, 2 * torch.atan2(size, real) / size)
    return scale * imaginary, (real <= 4 * torch.finfo(r.dtype).eps).squeeze(-1)


def rotation_exp(vector: Tensor) -> Tensor:
    """Matrices `(*batch, 3, 3)` of rotation vectors `(*batch, 3)`."""
    square = vector.square().sum(-1)[..., None, None]
    _, sinc = cos_sinc(square)
    _, half = cos_sinc(square / 4)
    skew = cross_matrix(vector)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + sinc * skew + 0.5 * half.square() * (skew @ skew)


def cross_matrix(vector: Tensor) -> Tensor:
    """The matrices of the cross products with vectors `(*batch, 3)`."""
    a, b, c = vector.unbind(-1)
    o = torch.zeros_like(a)
    return torch.stack([o, -c, b, c, o, -a, -b, a, o], -1).unflatten(-1, (3, 3))


@smooth_projection.register
def _(space: RotationMatrices) -> Callable[[Tensor], Tensor]:
    return nearly_orthogonal


def nearly_orthogonal(x: Tensor) -> Tensor:
    """The rotation near a matrix that is off by a little: its polar factor, by Newton and Schulz's iteration.

    Reference: N. Higham, Functions of Matrices, 2008, equation 8.20: the error e becomes 3/4 e^2.
    """
    for _ in range(3):
        x = 1.5 * x - 0.5 * x @ (x.mT @ x)
    return x


def _is_closed(space: RotationMatrices) -> bool:
    """Whether the formulas hold: in three dimensions, with the metric that both translations keep."""
    return space.n == 3 and isinstance(space.metric, BiInvariantMetric)


@joining.register
def _(space: RotationMatrices, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """end exp((1 - t) A), its velocity -end exp((1 - t) A) A, with A = log(end^T start)."""
    if not _is_closed(space):
        return default_geodesic(space, t, start, end)
    vector, _ = rotation_log(end.mT @ start)
    x = end @ rotation_exp((1 - t[..., 0]) * vector)
    return x, -x @ cross_matrix(vector)


@cut_locus.register
def _(space: RotationMatrices, start: Tensor, end: Tensor) -> Tensor | None:
    """Rotations that are half a turn apart."""
    return rotation_log(end.mT @ start)[1] if _is_closed(space) else None
