"""The polynomials of the Debye expansion against mpmath's Bessel function, to the last bit of what float64 needs."""

import mpmath
import pytest

from manifoldflow.special._debye import series

mpf = mpmath.mpf


def remainder(order, x, radius):
    """S of the module's docstring at R = radius / x."""
    r = radius / x
    kappa = mpmath.sqrt(r * r - order * order)
    leading = r + order * mpmath.log(kappa / (order + r)) - mpmath.log(2 * mpmath.pi * r) / 2
    return mpmath.log(mpmath.besseli(order, kappa)) - leading


def at(polynomial, x):
    return mpmath.polyval([mpf(c) for c in reversed(polynomial)], x)


@pytest.mark.parametrize("twice_order", [0, 1, 7, 63, 64, 65, 300, 3071])
@pytest.mark.parametrize("x", [0.3, 0.7, 0.99])
def test_polynomials(twice_order, x):
    s, order = series(twice_order), mpf(twice_order) / 2
    with mpmath.workdps(60):
        radius = max(order, mpf(32))
        assert s.radius == radius
        x = mpf(x)
        value, slope, bend = mpmath.taylor(lambda y: remainder(order, y, radius), x, 2)
        slope = x * slope
        exact = {"value": value, "slope": slope, "curvature": 2 * slope + x * x * 2 * bend}
        if twice_order >= 64:
            at_one = mpmath.loggamma(order + 1) - (order + 0.5) * mpmath.log(order) + order
            at_one = mpmath.log(2 * mpmath.pi) / 2 - at_one
            exact["complement"] = (at_one - value) / (1 - x)
        errors = {name: float(abs(at(getattr(s, name), x) - ours)) for name, ours in exact.items()}
    # the expansion is asymptotic: its own error at R = 32 grows with each derivative
    assert errors.pop("curvature") < 3e-16
    assert max(errors.values()) < 1e-17, errors


@pytest.mark.parametrize("order", [0.5, 1, 2.5, 31.5, 32, 33, 50, 1000])
def test_what_stirlings_formula_leaves(order):
    with mpmath.workdps(40):
        x = mpf(order)
        exact = mpmath.loggamma(x + 1) - (x + 0.5) * mpmath.log(x) + x - mpmath.log(2 * mpmath.pi) / 2
    assert series(int(2 * order)).stirling == pytest.approx(float(exact), rel=3e-16)
