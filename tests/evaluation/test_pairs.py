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


@given(count=st.integers(1, 250), classes=st.integers(2, 5), seed=st.integers(0, 100))
def test_with_reuse_images_take_turns(count, classes, seed):
    labels = torch.arange(50) % classes
    pairs = choose_pairs(data(labels), count, seed=seed, reuse=True)
    assert pairs.shape == (count, 2)
    assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()
    starts = torch.bincount(pairs[:, 0], minlength=50)
    assert starts.max() <= 1 + count // 10  # a round gives ten pairs at the least


def test_reuse_is_the_remedy_that_the_refusal_names():
    labels = torch.arange(20) % 2
    with pytest.raises(
        DataError, match=r"gives \d+ pairs of different classes, fewer than 64; .*\(--reuse\), or ask for at most \d+"
    ):
        choose_pairs(data(labels), 64, seed=0)
    assert len(choose_pairs(data(labels), 64, seed=0, reuse=True)) == 64
    with pytest.raises(DataError, match="at least two classes"):
        choose_pairs(data(torch.zeros(20, dtype=torch.long)), 64, seed=0, reuse=True)
