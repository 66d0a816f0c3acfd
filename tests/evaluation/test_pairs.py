"""Pairs join different classes, use no image twice at an end, and are a function of the seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.data import ImageSet
from manifoldflow.errors import DataError
from manifoldflow.evaluation import choose_pairs


def data(labels):
    return ImageSet(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels, 2, "set")


@given(classes=st.integers(2, 10), seed=st.integers(0, 100))
def test_pairs(classes, seed):
    labels = torch.arange(100) % classes
    pairs = choose_pairs(data(labels), 30, seed=seed)
    assert pairs.shape == (30, 2)
    assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()
    assert len(pairs[:, 0].unique()) == len(pairs[:, 1].unique()) == 30
    assert torch.equal(pairs, choose_pairs(data(labels), 30, seed=seed))


def test_too_many_pairs_or_one_class():
    with pytest.raises(DataError, match="fewer than 101"):
        choose_pairs(data(torch.arange(100)), 101, seed=0)
    with pytest.raises(DataError, match="only class 3"):
        choose_pairs(data(torch.full((10,), 3)), 2, seed=0)
