"""The sphere against 50-digit references, at every angle, in both dtypes and from R^2 to R^4097."""

import mpmath
import pytest
import torch
from mpmath import mp

from manifoldflow.manifolds import Hypersphere

from ..strategies import DTYPES
from . import references as ref

NEAR = [mpmath.mpf(10) ** -k for k in (12, 9, 7, 6, 5, 4, 3, 2, 1)]
ANGLES = [*NEAR, mpmath.mpf("0.5"), mpmath.mpf("1.05"), mp.pi / 2, mpmath.mpf("2.1"), *(mp.pi - a for a in NEAR[1:])]
AMBIENT = [2, 3, 16, 64, 1000, 4097]


# Numbers in a batch from which each way to compute is taken: few calls, short rows, screening by cosine.
SIZES = [3000, 20_000]


def in_batches(function, *rows):
    """The function's values of these rows: alone, recorded, and in batches with equal pairs beside and without."""
    yield function(*rows)
    yield function(*(r.clone().requires_grad_() for r in rows)).detach()
    for size in SIZES:
        count = 1 + size // len(rows[0])
        yield function(*(torch.stack([rows[0]] * count + [r]) for r in rows))[-1]
    yield function(*(r.expand(count, -1).contiguous() for r in rows))[-1]


def pairs(dtype, n):
    for theta in ANGLES if n <= 64 else ANGLES[::5]:
        for seed in range(3 if n <= 64 else 1):
            for sparse in (False, True):
                yield theta, ref.pair_at(theta, n, dtype, seed, sparse=sparse)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", AMBIENT)
def test_dist_is_within_8_ulp_at_every_angle(n, dtype):
    metric, eps = Hypersphere(n - 1).metric, torch.finfo(dtype).eps
    for theta, (x, y) in pairs(dtype, n):
        reference = ref.angle(ref.exact(x), ref.exact(y))
        for got in in_batches(metric.dist, x, y):
            assert abs(mpmath.mpf(float(got)) - reference) <= 8 * eps * reference, float(theta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", AMBIENT)
def test_log_keeps_its_accuracy_wherever_the_dtype_resolves_the_angle(n, dtype):
    metric, eps = Hypersphere(n - 1).metric, torch.finfo(dtype).eps
    for theta, (x, y) in pairs(dtype, n):
        actual = float(ref.angle(ref.exact(x), ref.exact(y)))
        room = min(actual, float(mp.pi - actual))
        if room < 16 * eps:
            continue
        reference = ref.log(ref.exact(x), ref.exact(y))
        for got in in_batches(lambda x, y: metric.log(y, x), x, y):
            assert ref.relative_error(got, reference) <= 8 * eps / room, float(theta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", AMBIENT)
def test_exp_matches_its_reference(n, dtype):
    metric, eps = Hypersphere(n - 1).metric, torch.finfo(dtype).eps
    for theta in (1e-12, 1e-4, 0.3, 0.33, 1.5, 3.0, 6.0, 40.0)[:: 1 if n <= 64 else 3]:
        x, e = ref.pair_at(mp.pi / 2, n, dtype, 5, sparse=False)
        v = theta * e
        reference = ref.exp(ref.exact(x), ref.exact(v))
        for got in in_batches(lambda x, v: metric.exp(v, x), x, v):
            assert ref.relative_error(got, reference) <= 8 * eps * max(1, theta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 64, 4097])
def test_a_thousand_steps_stay_on_the_sphere(n, dtype):
    space = Hypersphere(n - 1)
    x, v = ref.pair_at(mp.pi / 2, n, dtype, 1, sparse=False)
    v = 0.1 * v
    for _ in range(1000):
        x, v = space.metric.exp(v, x), space.metric.parallel_transport(v, x, direction=v)
        # measured in float64: the norm itself rounds
        assert abs(x.double().norm() - 1) <= 8 * torch.finfo(dtype).eps
    assert abs(v.double().norm() - 0.1) <= 1000 * torch.finfo(dtype).eps


@pytest.mark.parametrize("n", AMBIENT)
def test_nearby_and_opposite_points_round_trip(n):
    metric = Hypersphere(n - 1).metric
    for _, (x, y) in pairs(torch.float64, n):
        if float(ref.angle(ref.exact(x), ref.exact(y))) < float(mp.pi) - 1e-14:
            torch.testing.assert_close(metric.exp(metric.log(y, x), x), y, atol=1e-14, rtol=0)
