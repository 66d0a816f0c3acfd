"""What parameters may be, to the last number allowed, and how messages show what came."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal

from manifoldflow.distributions import Gaussian, VonMisesFisher
from manifoldflow.distributions import constraints as c

F64 = torch.float64


def test_finite_numbers():
    x = torch.tensor([-1e-300, 0.0, 1e-300, 1e300, math.inf, math.nan], dtype=F64)
    assert c.finite_nonnegative.check(x).tolist() == [False, True, True, True, False, False]
    assert c.finite_positive.check(x).tolist() == [False, False, True, True, False, False]
    rows = torch.stack([torch.ones_like(x), x], -1)
    assert c.finite_positive_vector.check(rows).tolist() == [False, False, True, True, False, False]
    assert c.finite_vector.check(rows).tolist() == [True, True, True, True, False, False]
    assert (c.finite_nonnegative.event_dim, c.finite_vector.event_dim, c.finite_symmetric.event_dim) == (0, 1, 2)
    assert c.finite_positive_vector.event_dim == 1


def test_symmetric_to_64_roundings_of_the_largest_entry():
    eps = torch.finfo(F64).eps
    a = torch.tensor([[4.0, 1.0], [1.0, 2.0]], dtype=F64).repeat(4, 1, 1)
    a[1, 0, 1] += 4 * 63 * eps
    a[2, 0, 1] += 4 * 66 * eps
    a[3, 1, 1] = math.inf
    assert c.finite_symmetric.check(a).tolist() == [True, True, False, False]


def test_numbers_beside_a_location():
    loc = torch.zeros(5, 3, dtype=torch.float32)
    value, batch = c.beside_loc("kappa", 2, loc)
    assert (value.dtype, value.shape, batch) == (torch.float32, (), (5,))
    value, batch = c.beside_loc("kappa", torch.ones(4, 1, dtype=F64), loc)
    assert (value.dtype, batch) == (torch.float32, (4, 5))
    assert c.beside_loc("kappa", torch.ones(4, 1, dtype=F64), loc, keep=True)[0].dtype == F64
    with pytest.raises(ValueError, match=r"kappa: expected a shape that broadcasts with \(5,\)"):
        c.beside_loc("kappa", torch.ones(4), loc)
    assert c.as_parameter("a", 2).dtype == torch.get_default_dtype()
    assert c.as_parameter("a", np.float64(2.5), loc).dtype == torch.float32
    assert c.as_parameter("a", torch.tensor(2)).dtype == torch.int64  # promoted later
    for wrong in (torch.tensor(True), torch.tensor(1j)):
        with pytest.raises(TypeError, match="a: expected real numbers"):
            c.as_parameter("a", wrong)
    for wrong in ([1.0], (1.0,), 1.0, 1, np.ones(2)):
        with pytest.raises(TypeError, match=r"call torch\.as_tensor first"):
            c.check_floating("a", wrong)
    with pytest.raises(TypeError, match="a: expected a floating-point tensor, got 'x'; convert it"):
        c.check_floating("a", "x")
    with pytest.raises(ValueError, match=r"a: expected floating-point numbers, got torch.int64; call a.float"):
        c.check_floating("a", torch.tensor(1))
    with pytest.raises(ValueError, match="a: expected a tensor with values"):
        c.check_floating("a", torch.ones(1, device="meta"))


def test_vectors_of_the_least_size():
    c.check_vector("loc", torch.zeros(2), 2)
    for wrong in (torch.zeros(1), torch.tensor(0.0)):
        with pytest.raises(ValueError, match=r"loc: expected shape \(\*batch, n\) with n >= 2"):
            c.check_vector("loc", wrong, 2)
    assert c.last_size(torch.zeros(2, 5)) == 5


def test_divergences_of_batches():
    p, q = Normal(torch.zeros(4, 1), 1.0), Normal(torch.zeros(3), 1.0)
    assert c.joint_batch(p, q) == (4, 3)
    with pytest.raises(ValueError, match=r"q: expected event shape \(2,\), that of p, got \(3,\)"):
        c.joint_batch(Gaussian(torch.zeros(2)), Gaussian(torch.zeros(3)))
    assert c.joint_batch(Categorical(torch.ones(2)), Categorical(torch.ones(5, 2))) == (5,)


@pytest.mark.parametrize(
    ("loc", "got"),
    [
        ([2.0, 0.0], r"unit vectors, got norm 2, normalise it first"),
        ([math.nan, 0.0], r"unit vectors, got \[nan, 0.0\]"),
        ([math.nan] * 6, r"got \[nan, nan, nan, nan, nan, nan\]"),
        ([math.nan] * 7, r"got a vector of 7 entries"),
    ],
)
def test_what_came_is_shown(loc, got):
    with pytest.raises(ValueError, match=f"loc: expected {got}" if got.startswith("unit") else got):
        VonMisesFisher(torch.tensor(loc), 1.0)
    with pytest.raises(ValueError, match=r"concentration: expected finite numbers >= 0, got -1 at index \(1,\)"):
        VonMisesFisher(torch.eye(2), torch.tensor([1.0, -1.0]))
    law = VonMisesFisher(torch.eye(2)[0], 1.0)
    with pytest.raises(ValueError, match=r"got norm 1.5, normalise it first, at index \(0, 2\)"):
        law.log_prob(torch.tensor([[[1.0, 0.0], [0, 1], [1.5, 0]]]))
