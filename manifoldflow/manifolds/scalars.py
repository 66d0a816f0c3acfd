r"""Smooth scalar functions of a SQUARED angle or tangent, from which every spherical operation is made.

Written in the square, they are analytic at 0, so that their derivatives of every order are finite at
coincident points and zero tangents. Near 0 they are their Taylor polynomials where a derivative may be
asked for: the closed forms have the right value there, but differentiating them cancels. The input of each
closed form is guarded.
"""

import math

import torch
from torch import Tensor

from .tracing import is_recorded

__all__ = ["arctan_ratio", "cos_sinc"]


def arctan_ratio(x: Tensor) -> Tensor:
    r"""arctan(sqrt x) / sqrt x = 1 - x/3 + x^2/5 - ..., for x >= 0."""
    if not is_recorded(x):
        root = _positive_root(x)
        return root.atan() / root
    small = x < 0.01
    series = _horner(torch.where(small, x, 0.0), [(-1) ** k / (2 * k + 1) for k in range(_terms(x, 5, 9))])
    root = torch.where(small, 1.0, x).sqrt()
    return torch.where(small, series, root.atan() / root)


def cos_sinc(x: Tensor) -> tuple[Tensor, Tensor]:
    r"""cos(sqrt x) and sin(sqrt x) / sqrt x, for x >= 0."""
    if not is_recorded(x):
        root = _positive_root(x)
        return root.cos(), root.sin() / root
    small = x < 0.1
    near = torch.where(small, x, 0.0)
    terms = _terms(x, 6, 9)
    cos = _horner(near, [(-1) ** k / math.factorial(2 * k) for k in range(terms)])
    sinc = _horner(near, [(-1) ** k / math.factorial(2 * k + 1) for k in range(terms)])
    root = torch.where(small, 1.0, x).sqrt()
    return torch.where(small, cos, root.cos()), torch.where(small, sinc, root.sin() / root)


def _positive_root(x: Tensor) -> Tensor:
    """Square root, with the smallest normal number for 0, where every function here is 1 to the last bit."""
    return x.clamp_min(torch.finfo(x.dtype).tiny).sqrt()


def _terms(x: Tensor, single: int, double: int) -> int:
    """Enough terms for two derivatives to be exact to the dtype at the end of the series' range."""
    return double if x.dtype == torch.float64 else single


def _horner(x: Tensor, coefficients: list[float]) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value
