"""An image set is checked once, where it enters; splits are disjoint and a function of the seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.data import ImageSet, split
from manifoldflow.errors import DataError


def images(count=10, shape=(1, 4, 4), levels=17, labels=None, dtype=torch.uint8):
    x = torch.randint(0, levels, (count, *shape)).to(dtype)
    return ImageSet(x, labels, levels, "set")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "at least one image, got an empty set"),
        ({"shape": (2, 4, 4)}, r"c = 1 or 3, got \(10, 2, 4, 4\)"),
        ({"shape": (1, 1, 4)}, "at least 2 x 2"),
        ({"dtype": torch.float32}, "expected uint8 images, got torch.float32"),
        ({"levels": 1}, "levels: expected 2 to 256, got 1"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"labels of shape \(10,\)"),
        ({"labels": torch.zeros(10)}, "int64 labels"),
    ],
)
def test_bad_sets_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        images(**change)


def test_values_beyond_the_levels_are_refused():
    with pytest.raises(DataError, match="expected values 0 to 15, got 16"):
        ImageSet(torch.full((2, 1, 4, 4), 16, dtype=torch.uint8), None, 16, "set")


def test_one_class_only_is_refused():
    data = images(labels=torch.full((10,), 7))
    with pytest.raises(DataError, match="pairing needs at least two classes, got only class 7"):
        data.require_classes("pairing")
    with pytest.raises(DataError, match="pairing needs labels, and the data has none"):
        images().require_classes("pairing")


@given(count=st.integers(5, 60), seed=st.integers(0, 1000))
def test_parts_are_disjoint_and_repeatable(count, seed):
    data = ImageSet(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.arange(count), 2, "set")
    parts = split(data, [0.5, 0.25, 0.25], seed=seed)
    again = split(data, [0.5, 0.25, 0.25], seed=seed)
    labels = torch.cat([part.labels for part in parts])
    assert sorted(labels.tolist()) == list(range(count))
    assert all(torch.equal(a.labels, b.labels) for a, b in zip(parts, again))


def test_too_few_images_to_split():
    with pytest.raises(DataError, match="2 images are too few to split into 3 parts"):
        split(images(2), [0.5, 0.25, 0.25], seed=0)
    with pytest.raises(ValueError, match="fractions: expected positive numbers that sum to 1 at most"):
        split(images(20), [0.9, 0.25], seed=0)
