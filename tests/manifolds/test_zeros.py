"""Zeros of compositions: ratios are kept, results are on the open simplex, scikit-bio's printed values."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.manifolds import Simplex, replace_zeros


def test_multiplicative_values():
    # the example of scikit-bio's multi_replace: delta = (1/4)^2 for each zero
    x = torch.tensor([[0.2, 0.4, 0.4, 0.0], [0.0, 0.5, 0.5, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.1875, 0.375, 0.375, 0.0625], [0.0625, 0.4375, 0.4375, 0.0625]], dtype=torch.float64)
    torch.testing.assert_close(replace_zeros(x), expected)


@pytest.mark.parametrize(
    ("prior", "zero"),
    [("square-root", 4 / (5 * 20)), ("laplace", 1 / 21), ("jeffreys", 0.5 / 18.5), ("perks", 0.2 / 17)],
)
def test_bayesian_values(prior, zero):
    counts = torch.tensor([8.0, 4.0, 0.0, 4.0, 0.0], dtype=torch.float64)  # 16 in 5 parts
    x = replace_zeros(counts, "bayesian", prior=prior)
    torch.testing.assert_close(x[2:5:2], torch.full((2,), zero, dtype=torch.float64))
    torch.testing.assert_close(x[0], 0.5 * (1 - x[2] - x[4]))
    assert torch.equal(replace_zeros(counts.long(), "bayesian", prior=prior), x.float())


@given(
    rows=st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any), min_size=1, max_size=5),
    how=st.sampled_from(["multiplicative", "bayesian"]),
)
def test_ratios_are_kept_and_no_zero_stays(rows, how):
    x = torch.tensor(rows, dtype=torch.float64)
    filled = replace_zeros(x, how)
    assert Simplex(3, metric="aitchison").belongs(filled).all()
    cross = filled[:, :, None] * x[:, None, :]
    present = (x[:, :, None] > 0) & (x[:, None, :] > 0)
    torch.testing.assert_close(cross[present], cross.mT[present])
    whole = (x > 0).all(-1)
    torch.testing.assert_close(filled[whole], (x / x.sum(-1, keepdim=True))[whole])


def test_a_limit_for_each_part():
    x = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    filled = replace_zeros(x, delta=torch.tensor([0.01, 0.02, 0.03]))
    torch.testing.assert_close(filled, torch.tensor([[0.485, 0.485, 0.03], [0.01, 0.96, 0.03]]))


def test_refusals():
    x = torch.tensor([0.5, 0.5, 0.0])
    replace_zeros(x, delta=0.5)
    for options, message in (
        ({"how": "multiplicativ"}, "did you mean 'multiplicative'"),
        ({"how": "bayesian", "prior": "x"}, "prior: expected one of"),
        ({"how": "bayesian", "delta": 0.1}, "delta: expected None"),
        ({"delta": 0.0}, "delta: expected positive shares"),
        ({"delta": 1.5}, "delta: expected positive shares"),
        ({"delta": [0.1, 0.1]}, "delta: expected a number or 3"),
    ):
        with pytest.raises(ValueError, match=message):
            replace_zeros(x, **options)
    for bad in (torch.zeros(3), -x, torch.tensor([1.0, torch.nan]), torch.ones(1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="points: expected"):
            replace_zeros(bad)
    with pytest.raises(TypeError, match="points: expected"):
        replace_zeros("x")
