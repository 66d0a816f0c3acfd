"""Bessel functions of the von Mises-Fisher distribution against 60-digit references, derivatives and identities."""

import csv
import math
from decimal import Decimal
from pathlib import Path

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow import special
from manifoldflow.special._debye import series

HERE = Path(__file__).parent
FUNCTIONS = (
    special.vmf_log_partition,
    special.vmf_log_peak,
    special.vmf_divergence,
    special.vmf_mean_length,
    special.vmf_mean_length_complement,
    special.vmf_mean_length_derivative,
    special.vmf_transverse_variance,
)
# 64 to 67 are where the small-order branch ends.
DIMENSIONS = (2, 3, 4, 10, 33, 64, 65, 66, 67, 100, 785, 3073, 200_000)


def columns(n, kappa):
    area = special.log_sphere_area(n)
    kappa64 = kappa.double()
    return {
        "log_normalizer": (-area - special.vmf_log_partition(kappa64, n)).to(kappa.dtype),
        "mean_resultant_length": special.vmf_mean_length(kappa, n),
        "mean_resultant_length_derivative": special.vmf_mean_length_derivative(kappa, n),
        "entropy": (area - special.vmf_divergence(kappa64, n)).to(kappa.dtype),
        "log_peak": (special.vmf_log_peak(kappa64, n) - area).to(kappa.dtype),
        "mean_resultant_length_complement": special.vmf_mean_length_complement(kappa, n),
    }


def tables():
    rows = [
        r
        for name in ("vmf_reference", "vmf_extremes")
        for r in csv.DictReader((HERE / f"{name}.csv").read_text().splitlines())
    ]
    return sorted({int(r["ambient_dimension"]) for r in rows}), rows


SIZES, ROWS = tables()


def relative_errors(values, references):
    """|value - reference| / max(1, |reference|), in decimal so that the references keep their digits."""
    return [float(abs(Decimal(v) - Decimal(r)) / max(Decimal(1), abs(Decimal(r)))) for v, r in zip(values, references)]


@pytest.mark.parametrize("n", SIZES)
def test_float64_matches_60_digit_references(n):
    rows = [r for r in ROWS if int(r["ambient_dimension"]) == n]
    for row in rows:
        ours = columns(n, torch.tensor([float(row["concentration"])], dtype=torch.float64))
        for name, value in ours.items():
            if name in row:
                bound = 1e-12 if name.endswith("derivative") else 1e-14
                assert max(relative_errors(value.tolist(), [row[name]])) <= bound, (row["concentration"], name)


@pytest.mark.parametrize("n", SIZES)
def test_small_quantities_are_relatively_exact(n):
    # 1 - A and A' fall to 1e-8 and 1e-16: an absolute bound would not see their digits.
    for row in (r for r in ROWS if int(r["ambient_dimension"]) == n):
        ours = columns(n, torch.tensor([float(row["concentration"])], dtype=torch.float64))
        for name in ("mean_resultant_length", "mean_resultant_length_derivative", "mean_resultant_length_complement"):
            if name in row:
                reference = Decimal(row[name])
                assert float(abs(Decimal(ours[name].item()) - reference) / reference) <= 2e-14, (row, name)


@pytest.mark.parametrize("n", SIZES)
def test_float32_is_the_rounded_float64_value(n):
    kappa = torch.tensor([float(r["concentration"]) for r in ROWS if int(r["ambient_dimension"]) == n])
    exact = columns(n, kappa.double())
    for name, value in columns(n, kappa).items():
        assert value.dtype == torch.float32
        assert max(relative_errors(value.tolist(), exact[name].tolist())) <= 1e-6, name


@given(n=st.integers(2, 400), kappa=st.floats(1e-6, 500))
def test_log_partition_matches_mpmath(n, kappa):
    with mpmath.workdps(40):
        reference = mpmath.log(mpmath.hyp0f1(mpmath.mpf(n) / 2, mpmath.mpf(kappa) ** 2 / 4))
    ours = special.vmf_log_partition(torch.tensor(kappa, dtype=torch.float64), n).item()
    assert ours == pytest.approx(float(reference), rel=2e-14, abs=1e-300)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [2, 3, 10, 65, 66, 785])
def test_derivatives(function, n):
    kappa = torch.tensor([0.0, 1e-3, 0.7, 5.0, 31.0, 33.0, 300.0], dtype=torch.float64, requires_grad=True)
    # The numerical derivative steps by 1e-6, so 0 itself is checked one-sided by test_expansion_at_zero.
    inner = kappa.detach()[1:].requires_grad_()
    assert torch.autograd.gradcheck(lambda k: function(k, n), inner, eps=1e-5, atol=1e-8, rtol=1e-6)
    assert torch.autograd.gradgradcheck(lambda k: function(k, n), inner, eps=1e-5, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("n", DIMENSIONS)
def test_autograd_gives_the_analytic_derivatives(n):
    kappa = torch.logspace(-6, 8, 40, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(special.vmf_log_partition(kappa, n).sum(), kappa, create_graph=True)
    torch.testing.assert_close(slope, special.vmf_mean_length(kappa, n), rtol=0, atol=0)
    (second,) = torch.autograd.grad(slope.sum(), kappa, create_graph=True)
    torch.testing.assert_close(second, special.vmf_mean_length_derivative(kappa, n), rtol=0, atol=0)
    (third,) = torch.autograd.grad(second.sum(), kappa)
    # A'' from the differential equation of A, in the form without 1/kappa^2
    a, d, g = special.vmf_mean_length(kappa, n), second, special.vmf_transverse_variance(kappa, n)
    (g_slope,) = torch.autograd.grad(g.sum(), kappa)
    expected = -2 * a * d - (n - 1) * g_slope
    torch.testing.assert_close(third, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", DIMENSIONS)
def test_expansion_at_zero(n):
    kappa = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    value = special.vmf_log_partition(kappa, n)
    (first,) = torch.autograd.grad(value.sum(), kappa, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), kappa, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), kappa)
    assert value.tolist() == first.tolist() == [0, 0]
    torch.testing.assert_close(second, torch.full_like(second, 1 / n), rtol=1e-15, atol=0)
    torch.testing.assert_close(third, torch.zeros_like(third), rtol=0, atol=1e-18)


@pytest.mark.parametrize("n", [n for n in DIMENSIONS if n < 66])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_no_jump_where_the_branches_meet(n, function):
    border = math.sqrt(32.0**2 - (n / 2 - 1) ** 2)
    kappa = border * (1 + 4e-16 * torch.arange(-4, 5, dtype=torch.float64))
    value = function(kappa, n)
    # 1 - A is 1/64 there for n = 2, and A' its square: rounding of A alone is 1e-14 of them
    assert value.max() - value.min() <= (5e-14 if n == 2 else 2e-14) * value.min()


def identities_hold(n, kappa):
    """Everything is finite, in range, and satisfies the recurrences between the orders n and n + 2."""
    values = [f(kappa, n) for f in FUNCTIONS]
    assert all(v.isfinite().all() for v in values)
    partition, peak, divergence, length, complement, derivative, transverse = values
    for value in (partition, peak, divergence, length, 1 - length):
        assert (value >= 0).all()
    for value in (complement, derivative, transverse):
        assert (value > 0).all()
    close = torch.testing.assert_close
    close(length + complement, torch.ones_like(length), rtol=0, atol=1e-15)
    close(partition + peak, kappa, rtol=1e-14, atol=1e-14)
    close(kappa * transverse, length, rtol=1e-15, atol=0)
    next_length = special.vmf_mean_length(kappa, n + 2)
    close(length * (n + kappa * next_length), kappa, rtol=1e-14, atol=0)
    rise = torch.log1p(kappa * next_length / n)
    close(partition - special.vmf_log_partition(kappa, n + 2), rise, rtol=1e-12, atol=2e-15 * partition.max().item())


@pytest.mark.parametrize("n", DIMENSIONS)
def test_identities(n):
    identities_hold(n, torch.logspace(-6, 8, 300, dtype=torch.float64))


@pytest.mark.slow
def test_identities_at_1e5_random_pairs():
    generator = torch.Generator().manual_seed(0)
    for _ in range(500):
        n = int(2 * 1e5 ** torch.rand((), generator=generator).item())
        kappa = 10 ** (14 * torch.rand(200, dtype=torch.float64, generator=generator) - 6)
        identities_hold(n, kappa.sort().values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(dtype):
    for function in FUNCTIONS:
        assert function(torch.zeros(0, 3, dtype=dtype), 5).shape == (0, 3)
        value = function(torch.ones(2, 3, dtype=dtype), 5)
        assert value.shape == (2, 3)
        assert value.dtype == dtype


def test_vmap_and_jacrev():
    kappa = torch.linspace(0.1, 40, 7, dtype=torch.float64)
    batched = torch.vmap(lambda k: special.vmf_log_partition(k, 5))(kappa)
    torch.testing.assert_close(batched, special.vmf_log_partition(kappa, 5), rtol=0, atol=0)
    slope = torch.vmap(torch.func.grad(lambda k: special.vmf_log_partition(k, 5)))(kappa)
    torch.testing.assert_close(slope, special.vmf_mean_length(kappa, 5), rtol=1e-15, atol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler uses what torch deprecates
def test_series_are_constants_to_the_compiler():
    assert vars(series) == vars(torch.compiler.assume_constant_result(lambda: None))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler uses what torch deprecates
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # and looks at gradients that are not kept
def test_compiled_value_and_derivative():
    kappa = torch.linspace(0.0, 2000.0, 4096, dtype=torch.float64, requires_grad=True)

    def both(k):
        value = special.vmf_log_partition(k, 785)
        return value, torch.autograd.grad(value.sum(), k)[0]

    for ours, eager in zip(torch.compile(both)(kappa), both(kappa)):
        torch.testing.assert_close(ours, eager, rtol=1e-15, atol=1e-15)
