r"""Coefficients of the logarithm of the uniform (Debye) expansion of the Bessel function I.

With :math:`R = \sqrt{\nu^2 + \kappa^2}`, :math:`t = \nu / R` (DLMF 10.41.3),

.. math:: \log I_\nu(\kappa) = R + \nu \log\frac{\kappa}{\nu + R} - \tfrac12 \log 2\pi R
          + S, \qquad S = \sum_{k \ge 1} \frac{D_k(t)}{\nu^k}.

Inserting :math:`e^S` into the recurrence of the :math:`U_k` (DLMF 10.41.9) gives one for the
derivatives :math:`E_k = D_k'` alone, in which only powers of two are divided by:

.. math:: E_1 = \tfrac18 (1 - 5 t^2), \quad E_{k+1} = (t - 2 t^3) E_k
          + \tfrac12 t^2 (1 - t^2) \Big(E_k' + \sum_{i + j = k} E_i E_j\Big).

:math:`D_k` has the powers k, k+2, ..., 3k of t, so :math:`D_k(t)/\nu^k` is :math:`R^{-k}` times a
polynomial in :math:`t^2`: for fixed :math:`\nu` the whole series is one polynomial in 1/R, which also
holds at :math:`\nu = 0`, where it is Hankel's expansion.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

__all__ = ["SMALLEST_RADIUS", "Series", "series"]

# From this R on, the series reaches the last bit of float64 before its terms start to grow.
SMALLEST_RADIUS = 32.0
_TERMS = 17
# B_2k / (2k (2k - 1)) of Stirling's series (DLMF 5.11.1)
_STIRLING = ((1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360), (1, 156))
_NEGLIGIBLE = Fraction(1, 2**60)


def _derivatives(terms: int) -> list[list[int]]:
    """E_1 ... E_terms; entry [k-1][j] times 8^-k is the coefficient of t^(k-1+2j) in E_k."""
    table = [[1, -5]]
    for k in range(1, terms):
        last = table[-1]
        inner = [(k - 1 + 2 * j) * last[j] for j in range(k + 1)]
        for i in range(1, k):
            for a, left in enumerate(table[i - 1]):
                for b, right in enumerate(table[k - i - 1]):
                    inner[a + b] += left * right
        new = [0] * (k + 2)
        for j in range(k + 1):
            new[j] += 8 * last[j] + 4 * inner[j]
            new[j + 1] -= 16 * last[j] + 4 * inner[j]
        table.append(new)
    return table


_TABLE = _derivatives(_TERMS)


@dataclass(frozen=True)
class Series:
    """Polynomials in x = radius / R on [0, 1], coefficients from the constant up, for one order.

    value: S. slope: T = x dS/dx. curvature: T + x dT/dx. complement: q with S(1) - S(x) = (1 - x) q(x).
    Each is within 2^-60 of the exact polynomial, on the whole of [0, 1].
    stirling: log Gamma(order + 1) beyond (order + 1/2) log(order) - order + log(2 pi)/2, which is -S at t = 1;
    NaN at order 0.
    """

    radius: float
    value: tuple[float, ...]
    slope: tuple[float, ...]
    curvature: tuple[float, ...]
    complement: tuple[float, ...]
    stirling: float


_CACHE: dict[int, Series] = {}


def series(twice_order: int) -> Series:
    """The series of order `twice_order` / 2, for R >= radius = max(order, SMALLEST_RADIUS)."""
    if twice_order not in _CACHE:
        _CACHE[twice_order] = _build(Fraction(twice_order, 2))
    return _CACHE[twice_order]


# What torch.compiler.assume_constant_result does; calling that would import the compiler, a third of our import time.
series._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _build(order: Fraction) -> Series:
    radius = max(order, Fraction(SMALLEST_RADIUS))
    slope = [Fraction(0)] * (3 * _TERMS + 1)
    for k, row in enumerate(_TABLE, start=1):
        for j, coefficient in enumerate(row):
            slope[k + 2 * j] += Fraction(coefficient, 8**k) * order ** (2 * j) / radius ** (k + 2 * j)
    value = [Fraction(0)] + [c / p for p, c in enumerate(slope[1:], start=1)]
    return Series(
        radius=float(radius),
        value=_economised(value),
        slope=_economised(slope),
        curvature=_economised([(p + 1) * c for p, c in enumerate(slope)]),
        complement=_economised([sum(value[i + 1 :], Fraction(0)) for i in range(len(value) - 1)]),
        stirling=_stirling(order),
    )


def _stirling(order: Fraction) -> float:
    """Stirling's remainder by its series from 32 on; below, stepped up to there in decimal arithmetic."""
    if order == 0:
        return math.nan
    with localcontext() as context:
        context.prec = 40
        x, total = Decimal(order.numerator) / order.denominator, Decimal(0)
        while x < SMALLEST_RADIUS:
            total += (x + Decimal("0.5")) * ((x + 1) / x).ln() - 1
            x += 1
        for k, (above, below) in enumerate(_STIRLING, start=1):
            total += Decimal(above) / below / x ** (2 * k - 1)
    return float(total)


def _economised(polynomial: list[Fraction]) -> tuple[float, ...]:
    """Lower the degree by subtracting multiples of Chebyshev polynomials of [0, 1], in exact arithmetic."""
    polynomial = polynomial[:]
    error = Fraction(0)
    while len(polynomial) > 1:
        degree = len(polynomial) - 1
        step = polynomial[-1] / 2 ** (2 * degree - 1)
        error += abs(step)
        if error > _NEGLIGIBLE:
            break
        polynomial = [c - step * b for c, b in zip(polynomial, _shifted_chebyshev(degree))][:-1]
    return tuple(map(float, polynomial))


def _shifted_chebyshev(degree: int) -> list[int]:
    """Coefficients of cos(degree arccos(2x - 1)), from the constant up."""
    signs = (-1) ** degree
    row = [signs]
    for j in range(degree):  # ratio of neighbouring coefficients of 2F1(-degree, degree; 1/2; x)
        row.append(row[-1] * 2 * (j - degree) * (degree + j) // ((2 * j + 1) * (j + 1)))
    return row
