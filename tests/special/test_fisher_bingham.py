"""The Fisher-Bingham normaliser against quadrature, mpmath and published constants; derivatives and invariances."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow.special import (
    fisher_bingham_log_partition,
    fisher_bingham_moments,
    log_sphere_area,
    vmf_log_partition,
    watson_log_partition,
    watson_moments,
)

F64 = torch.float64
ACCURACY = 1e-10


def tensor(values):
    return torch.tensor(values, dtype=F64)


def on_circle(b, a, count=20_000):
    """Trapezoid rule on the circle, exact to rounding for a periodic integrand."""
    angle = np.arange(count) * (2 * math.pi / count)
    x = np.stack([np.cos(angle), np.sin(angle)], -1)
    exponent = x @ b.numpy() + ((x @ a.numpy()) * x).sum(-1)
    top = exponent.max()
    return top + math.log(np.exp(exponent - top).mean() * 2 * math.pi)


def on_sphere(b, a, count=400):
    """Gauss-Legendre in the height, trapezoid rule in the longitude."""
    height, weight = np.polynomial.legendre.leggauss(count)
    longitude = np.arange(2 * count) * (math.pi / count)
    ring = np.sqrt(1 - height**2)[:, None]
    x = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), height[:, None] + 0 * longitude], -1)
    exponent = x @ b.numpy() + ((x @ a.numpy()) * x).sum(-1)
    top = exponent.max()
    return top + math.log((np.exp(exponent - top) * weight[:, None]).sum() * math.pi / count)


def by_talbot(b, values, digits=50, degree=120):
    """The same Laplace transform inverted by mpmath along Talbot's contour in many digits."""
    with mpmath.workdps(digits):
        shift = mpmath.mpf(max(values))
        pairs = [(mpmath.mpf(v) - shift, mpmath.mpf(c) ** 2 / 4) for v, c in zip(values, b)]

        def transform(p):
            return mpmath.exp(sum(q / (p - v) - mpmath.log(p - v) / 2 for v, q in pairs))

        value = mpmath.invertlaplace(transform, 1, method="talbot", degree=degree, dps=digits)
        half = mpmath.mpf(len(pairs)) / 2
        return float(
            mpmath.log(value) + mpmath.log(2) + (half - 1) * mpmath.log(mpmath.pi) + shift + mpmath.log(mpmath.pi)
        )


@pytest.mark.parametrize("depth", [1e-3, 1.0, 10.0, 100.0, 1e3, 1e4])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0, 1.01, 2.0])
def test_circle_also_where_two_saddles_compete(depth, share):
    # b pulls along the axis that A pushes away from; at share 1 the two modes at +-e_1 merge into one
    for across in (0.0, 0.1, 3.0):
        b, a = tensor([across, 2 * depth * share]), torch.diag(tensor([0.0, -depth]))
        assert float(fisher_bingham_log_partition(b, a)) == pytest.approx(on_circle(b, a), abs=ACCURACY)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("opposed", [False, True])
def test_sphere_by_quadrature(scale, opposed):
    generator = torch.Generator().manual_seed(int(100 * scale))
    for _ in range(4):
        a = torch.randn(3, 3, dtype=F64, generator=generator) * scale
        a = a + a.mT
        b = torch.randn(3, dtype=F64, generator=generator) * scale
        if opposed:
            values, vectors = torch.linalg.eigh(a)
            b = 0.95 * 2 * (values[2] - values[0]) * vectors[:, 0] + 0.1 * vectors[:, 2]
        assert float(fisher_bingham_log_partition(b, a)) == pytest.approx(on_sphere(b, a), abs=ACCURACY)


@pytest.mark.parametrize(
    ("values", "b"),
    [
        ([-3.0, -1.0, 0.5, 2.0], [1.0, -2.0, 0.3, 0.1]),
        ([-80.0, -80.0, -10.0, 0.0, 0.0], [155.0, 0.0, 3.0, 0.0, 0.2]),
        ([-30.0, -20.0, -10.0, -1.0, -0.5, 0.0, 0.0], [50.0, -30.0, 0.0, 1.0, 0.0, 0.0, 2.0]),
    ],
)
def test_many_dimensions_against_talbots_contour_in_mpmath(values, b):
    got = float(fisher_bingham_log_partition(tensor(b), torch.diag(tensor(values))))
    assert got == pytest.approx(by_talbot(b, values), abs=ACCURACY)


@pytest.mark.parametrize("n", [2, 3, 5, 50, 600, 2000])
@pytest.mark.parametrize("kappa", [0.0, 1e-3, 1.0, 30.0, 3e3, 1e4])
def test_watson_against_mpmath(n, kappa):
    for signed in (kappa, -kappa):
        with mpmath.workdps(40):
            exact = float(mpmath.log(mpmath.hyp1f1(0.5, mpmath.mpf(n) / 2, signed))) + log_sphere_area(n)
        assert float(watson_log_partition(tensor(signed), n)) == pytest.approx(exact, abs=ACCURACY)


@pytest.mark.parametrize("n", [2, 3, 5, 50, 400])
def test_von_mises_fisher_and_watson_are_special_cases(n):
    kappa = tensor([0.0, 1e-3, 1.0, 30.0, 1e4])
    axis = torch.nn.functional.normalize(torch.arange(1.0, n + 1, dtype=F64), dim=0)
    linear = fisher_bingham_log_partition(kappa[:, None] * axis, torch.zeros(n, n, dtype=F64))
    assert torch.allclose(linear, vmf_log_partition(kappa, n) + log_sphere_area(n), rtol=0, atol=ACCURACY)
    kappa = torch.cat([kappa, -kappa])
    quadratic = fisher_bingham_log_partition(torch.zeros(n, dtype=F64), kappa[:, None, None] * axis[:, None] * axis)
    assert torch.allclose(quadratic, watson_log_partition(kappa, n), rtol=0, atol=ACCURACY)


# log F with respect to area of Bingham laws with these eigenvalues (parameters of libDirectional's
# BinghamDistributionTest, 40 digits of mpmath), hgm.ncBingham(c(1, 3, 5)) of R's hgm (relative to the uniform law), and
# PyRecEst's example on S^3, whose printed 2.98312 two quadratures put at 2.9855756965739384.
PUBLISHED_BINGHAM = [
    ([-3.0, -2.0, 0.0], 1.186574187902324),
    ([-10.0, -2.0, 0.0], 0.524907249015013),
    ([-11.0, -11.0, 0.0], -0.5074892418370315),
    ([-21.0, -20.0, 0.0], -1.1561350757445261),
    ([-23.0, 0.0, 0.0], 0.8424949013576454),
    ([1.0, 3.0, 5.0, 0.0], math.log(17.640013624887395) + math.log(2 * math.pi**2)),
    ([-10.0, -2.0, -1.0, 0.0], math.log(2.9855756965739384)),
    # SO(3), matrix Fisher with singular values (19.6, 0.831, -0.671), as a Bingham law of quaternions
    (
        [2 * (19.6 + 0.831 - 0.671), 2 * 19.6, 2 * 0.831, -2 * 0.671],
        math.log(8352989.160485395) + (19.6 + 0.831 - 0.671) + math.log(2 * math.pi**2),
    ),
]


@pytest.mark.parametrize(("values", "exact"), PUBLISHED_BINGHAM)
def test_published_bingham_constants(values, exact):
    got = fisher_bingham_log_partition(torch.zeros(len(values), dtype=F64), torch.diag(tensor(values)))
    assert float(got) == pytest.approx(exact, abs=ACCURACY)


def test_published_fisher_bingham_and_kent_constants():
    # OpenXM ko-fbd manual: the integral of exp(1.23 t1^2 + 2.39 t1 t2 + 3.22 t2^2 + 2.12 t1 + 3.32 t2) over the circle
    circle = fisher_bingham_log_partition(tensor([2.12, 3.32]), tensor([[1.23, 1.195], [1.195, 3.22]]))
    assert math.exp(circle) == pytest.approx(1814.38, abs=0.005)
    # Kent's law exp(k x1 + b (x2^2 - x3^2)): 40 digits of Kent's (1982) series
    for kappa, beta, exact in ((100.0, 40.0, 97.68736536538438), (10.0, 8.0, 10.909814628943508)):
        got = fisher_bingham_log_partition(tensor([kappa, 0.0, 0.0]), torch.diag(tensor([0.0, beta, -beta])))
        assert float(got) == pytest.approx(exact, abs=ACCURACY)


@pytest.mark.parametrize("repeated", [False, True])
def test_derivatives_to_second_order(repeated):
    torch.manual_seed(0)
    a = torch.diag(tensor([1.0, 1.0, -2.0])) if repeated else torch.randn(2, 3, 3, dtype=F64)
    b = torch.zeros(3, dtype=F64) if repeated else 2 * torch.randn(2, 3, dtype=F64)
    inputs = (b.requires_grad_(), a.requires_grad_())

    def partition(b, a):
        return fisher_bingham_log_partition(b, a + a.mT)

    assert gradcheck(partition, inputs)
    assert gradgradcheck(partition, inputs)
    assert gradcheck(lambda b, a: fisher_bingham_moments(b, a + a.mT), inputs)


def test_a_third_derivative_is_refused_not_wrong():
    b = tensor([1.0, 2.0]).requires_grad_()
    a = torch.eye(2, dtype=F64)
    (first,) = torch.autograd.grad(fisher_bingham_log_partition(b, a), b, create_graph=True)
    (second,) = torch.autograd.grad(first[0], b, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(second[0], b)


def test_watson_derivatives_and_moments():
    kappa = tensor([-200.0, -3.0, 0.0, 2.0, 50.0]).requires_grad_()
    assert gradcheck(lambda k: watson_log_partition(k, 5), kappa)
    assert gradgradcheck(lambda k: watson_log_partition(k, 5), kappa)
    second, fourth = watson_moments(kappa, 5)
    (slope,) = torch.autograd.grad(watson_log_partition(kappa, 5).sum(), kappa, create_graph=True)
    assert torch.allclose(second, slope, rtol=1e-12)
    (curvature,) = torch.autograd.grad(slope.sum(), kappa)
    assert torch.allclose(fourth - second.square(), curvature, rtol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 40])
def test_moments_satisfy_the_identities_of_the_sphere(n):
    torch.manual_seed(n)
    a = torch.randn(n, n, dtype=F64)
    mean, second = fisher_bingham_moments(3 * torch.randn(4, n, dtype=F64), a + a.mT)
    assert torch.allclose(second.diagonal(dim1=-2, dim2=-1).sum(-1), torch.ones(4, dtype=F64), rtol=0, atol=1e-12)
    covariance = second - mean[..., :, None] * mean[..., None, :]
    assert (torch.linalg.eigvalsh(covariance) > 0).all()


@given(
    n=st.integers(2, 7),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 3000.0]),
    shift=st.floats(-100, 100),
)
def test_shifts_rotations_and_reflections(n, seed, scale, shift):
    generator = torch.Generator().manual_seed(seed)
    a = scale * torch.randn(n, n, dtype=F64, generator=generator)
    b = scale * torch.randn(n, dtype=F64, generator=generator)
    turn = torch.linalg.qr(torch.randn(n, n, dtype=F64, generator=generator)).Q
    a = a + a.mT
    value = fisher_bingham_log_partition(b, a)
    atol = 1e-11 + 1e-14 * scale * n
    shifted = fisher_bingham_log_partition(b, a + shift * torch.eye(n, dtype=F64))
    assert torch.allclose(shifted, value + shift, rtol=0, atol=atol)
    assert torch.allclose(fisher_bingham_log_partition(turn @ b, turn @ a @ turn.T), value, rtol=0, atol=atol)
    assert torch.allclose(fisher_bingham_log_partition(-b, a), value, rtol=0, atol=atol)


def test_batches_broadcast_and_keep_the_dtype():
    torch.manual_seed(0)
    a = torch.randn(5, 1, 4, 4, dtype=F64)
    b = torch.randn(3, 4, dtype=F64)
    value = fisher_bingham_log_partition(b, a + a.mT)
    assert value.shape == (5, 3)
    assert torch.allclose(value[2, 1], fisher_bingham_log_partition(b[1], (a + a.mT)[2, 0]), rtol=1e-14)
    assert fisher_bingham_log_partition(b.float(), (a + a.mT).float()).dtype == torch.float32
    assert fisher_bingham_log_partition(b[:0], a[0, 0]).shape == (0,)
    mapped = torch.vmap(fisher_bingham_log_partition)(b, (a + a.mT)[:3, 0])
    assert torch.allclose(mapped, fisher_bingham_log_partition(b, (a + a.mT)[:3, 0]), rtol=1e-14)
    rows = torch.func.jacrev(torch.func.jacrev(lambda x: fisher_bingham_log_partition(x, a[0, 0])))(b[0])
    assert torch.allclose(rows, rows.T, atol=1e-12)
