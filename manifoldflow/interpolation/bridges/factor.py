"""Sampling a Gaussian process: a covariance as L L^T with as few columns as its rank, and the Markov recursion."""

from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["NotPositiveDefiniteError", "factor", "markov_residual", "multiply"]


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


def _coefficients(t: Tensor, at: Tensor, rate: float) -> tuple[list[float], list[float], list[bool]]:
    """Weight of the value before, standard deviation, and whether the value before counts, for every time.

    A process tied to zero at times `at`, with the next tie at distance b and the value before at distance a:
    with k = exp(-rate a), l = exp(-rate b) the new value has mean k (1 - l^2) / (1 - k^2 l^2) times the old
    one and variance (1 - k^2)(1 - l^2) / (1 - k^2 l^2); expm1 keeps the differences exact for small steps.
    """
    infinity = t.new_full((1,), torch.inf)
    after = torch.searchsorted(at, t)  # the first tie at or after t
    to_next = torch.cat([at, infinity])[after] - t
    last_tie = torch.cat([-infinity, at])[after]
    before = torch.cat([-infinity, t[:-1]])
    reset = before <= last_tie  # a tie lies between: the process starts there from zero
    a, b = rate * (t - torch.maximum(before, last_tie)), rate * to_next
    gap_a, gap_b, gap = -torch.expm1(-2 * a), -torch.expm1(-2 * b), -torch.expm1(-2 * (a + b))
    tied = to_next == 0
    weight = torch.where(tied | reset, 0, torch.exp(-a) * gap_b / gap)
    deviation = torch.where(tied, 0, (gap_a * gap_b / gap).sqrt())
    return weight.tolist(), deviation.tolist(), reset.tolist()


def markov_residual(out: Tensor, t: Tensor, at: Tensor, rate: float, generator: torch.Generator | None = None) -> None:
    """Fill `out` `(rows, m, n)` with the process tied to zero at times `at` (sorted), at increasing times
    `t`.

    Args:
        out: Where the samples go.
        t: Times `(m,)`, float64.
        at: Times of the ties `(k,)`, float64; none for the stationary process.
        rate: Rate of the kernel exp(-rate |h|) in the unit of the times.
        generator: Source of randomness.
    """
    if out.is_contiguous():
        out.normal_(generator=generator)
    else:
        out.copy_(torch.randn(out.shape, dtype=out.dtype, device=out.device, generator=generator))
    weights, deviations, resets = _coefficients(t, at, rate)
    for i, (weight, deviation, reset) in enumerate(zip(weights, deviations, resets)):
        here = out[:, i]
        here.mul_(deviation)
        if not reset:
            here.add_(out[:, i - 1], alpha=weight)
