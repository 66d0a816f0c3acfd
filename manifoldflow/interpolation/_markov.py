"""The exact sampler of a tied Ornstein-Uhlenbeck process: one step per time, in place."""

import torch
from torch import Tensor

__all__ = ["markov_residual"]


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
