"""A covariance matrix as L L^T with as few columns as its numerical rank."""

from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["NotPositiveDefiniteError", "factor", "multiply"]


class NotPositiveDefiniteError(ValueError):
    """A covariance matrix has a negative eigenvalue beyond rounding."""


def factor(covariance: Tensor, *, tolerance: float = 1e-14) -> tuple[Tensor, bool]:
    """L `(m, r)` with `covariance` = L L^T up to `tolerance` in every variance, and whether L is lower
    triangular.

    Smooth kernels have numerical rank 10 to 100 whatever m is: Cholesky with diagonal pivots stops there,
    where the plain one breaks down. When the rank turns out to be large, the plain one takes over, which is a
    single LAPACK call.

    Args:
        covariance: Symmetric `(m, m)`, float64.
        tolerance: Variance that may be left out, in the units of the matrix.

    Raises:
        NotPositiveDefiniteError: A residual variance goes below -1e-10.
    """
    m = covariance.shape[-1]
    columns = covariance.new_zeros(m, m)
    left = covariance.diagonal().clone()
    if m and float(left.min()) < -1e-10:
        raise NotPositiveDefiniteError(f"negative variance {float(left.min()):.3g}")
    for rank in range(m):
        pivot = int(left.argmax())
        if float(left[pivot]) <= tolerance:
            return _checked(covariance, columns[:, :rank].contiguous(), tolerance), False
        if rank == max(64, m // 4):
            plain, info = torch.linalg.cholesky_ex(covariance)
            if int(info) == 0:
                return plain, True
        column = covariance[:, pivot] - columns[:, :rank] @ columns[pivot, :rank]
        column = column / left[pivot].sqrt()
        columns[:, rank] = column
        left = left - column.square()
        left[pivot] = 0
        if float(left.min()) < -1e-10:
            raise NotPositiveDefiniteError(f"residual variance {float(left.min()):.3g} at rank {rank + 1}")
    return _checked(covariance, columns, tolerance), False


def _checked(covariance: Tensor, columns: Tensor, tolerance: float) -> Tensor:
    """The columns, unless what they leave of the matrix is more than its diagonal allows a positive one."""
    rest = float((covariance - columns @ columns.T).abs().max()) if len(covariance) else 0.0
    if rest > max(1e-8, 10 * tolerance):
        raise NotPositiveDefiniteError(f"off-diagonal rest {rest:.3g} beside vanishing variances")
    return columns


def multiply(lower: Tensor, noise: Tensor, out: Tensor, *, triangular: bool) -> None:
    """`out` `(rows, m, n)` = `lower` `(m, r)` times `noise` `(rows, r, n)`.

    A triangular factor (rows of zeros may be inserted) is taken in four blocks of rows, which skips 3/8 of the
    products.
    """
    m, r = lower.shape
    edges = [m * i // 4 for i in range(5)] if triangular else [0, m]
    blocks = [(low, high, min(high, r) if triangular else r) for low, high in pairwise(edges) if high > low]
    if noise.shape[-1] < 32:
        for low, high, width in blocks:
            out[:, low:high] = lower[low:high, :width] @ noise[:, :width]
        return
    # One product per path writes into place; a batched one would copy its strided operands.
    for sample, draw in zip(out.unbind(0), noise.unbind(0)):
        for low, high, width in blocks:
            torch.mm(lower[low:high, :width], draw[:width], out=sample[low:high])
