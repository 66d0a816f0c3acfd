"""The sphere in 50-digit arithmetic: references for the rounded inputs that a kernel sees."""

import mpmath
import torch
from mpmath import mp
from torch import Tensor

mp.dps = 50


def exact(row: Tensor) -> list:
    """One row of floats as exact numbers."""
    return [mpmath.mpf(v) for v in row.double().tolist()]


def dot(x: list, y: list):
    return mpmath.fdot(x, y)


def unit(x: list) -> list:
    norm = mpmath.sqrt(dot(x, x))
    return [a / norm for a in x]


def angle(x: list, y: list):
    """2 atan2(|x - y|, |x + y|) of the vectors as they are, not renormalised."""
    d = [b - a for a, b in zip(x, y)]
    s = [a + b for a, b in zip(x, y)]
    return 2 * mpmath.atan2(mpmath.sqrt(dot(d, d)), mpmath.sqrt(dot(s, s)))


def log(x: list, y: list) -> list:
    """Log of the normalised vectors."""
    x, y = unit(x), unit(y)
    c = dot(x, y)
    u = [b - c * a for a, b in zip(x, y)]
    size = mpmath.sqrt(dot(u, u))
    if size == 0:
        return [mpmath.mpf(0)] * len(x)
    theta = angle(x, y)
    return [theta * a / size for a in u]


def exp(x: list, v: list) -> list:
    """Exp at the normalised x of the tangential part of v."""
    x = unit(x)
    c = dot(x, v)
    v = [b - c * a for a, b in zip(x, v)]
    r = mpmath.sqrt(dot(v, v))
    if r == 0:
        return x
    return [mpmath.cos(r) * a + mpmath.sin(r) / r * b for a, b in zip(x, v)]


def relative_error(value: Tensor, reference: list) -> float:
    """|value - reference| / |reference| of one row."""
    got = exact(value)
    miss = [a - b for a, b in zip(got, reference)]
    size = mpmath.sqrt(dot(reference, reference))
    return float(mpmath.sqrt(dot(miss, miss)) / size) if size else float(mpmath.sqrt(dot(miss, miss)))


def pair_at(theta: float, n: int, dtype: torch.dtype, seed: int, *, sparse: bool) -> tuple[Tensor, Tensor]:
    """Unit vectors of R^n at an angle, rounded to the dtype.

    Sparse ones lie on two axes: there, the rounded pair has the angle itself, however small.
    """
    rng = torch.Generator().manual_seed(seed)
    if sparse:
        x, e = torch.eye(n, dtype=torch.float64)[:2]
    else:
        x, e = torch.linalg.qr(torch.randn(n, 2, dtype=torch.float64, generator=rng))[0].mT
    cos, sin = float(mpmath.cos(theta)), float(mpmath.sin(theta))
    if theta > 3:  # sin(pi - delta) from the rounded difference
        sin = float(mpmath.sin(mp.pi - theta)) if not isinstance(theta, mpmath.mpf) else float(mpmath.sin(theta))
    return x.to(dtype), (cos * x + sin * e).to(dtype)
