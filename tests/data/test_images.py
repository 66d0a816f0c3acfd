"""An image set is checked once, where it enters; splits are disjoint and a function of the seed."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.data import ImageSet, bits_per_dim, dequantise, reduce_bits, split, split_published
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
    with pytest.raises(DataError, match="2 images are too few to split into 3 parts; 4 are enough"):
        split(images(2), [0.5, 0.25, 0.25], seed=0)
    with pytest.raises(ValueError, match="fractions: expected positive numbers that sum to 1 at most"):
        split(images(20), [0.9, 0.25], seed=0)


def test_the_published_test_part_is_not_kept_by_a_selection():
    data = replace(images(), published_test=4)
    assert data.select(torch.arange(8)).published_test == 0
    assert {part.published_test for part in split(data, [0.5, 0.5], seed=0)} == {0}


def test_published_parts():
    data = ImageSet(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.arange(10), 2, "set", published_test=4)
    train, validation, test = split_published(data, 0.5, seed=1)
    assert test.labels.tolist() == [6, 7, 8, 9]
    assert sorted([*train.labels.tolist(), *validation.labels.tolist()]) == list(range(6))
    again = split_published(data, 0.5, seed=1)
    assert torch.equal(again[0].labels, train.labels)
    for count in (0, 10):
        with pytest.raises(DataError, match=f"a published training and a published test part, got {10 - count}"):
            split_published(replace(data, published_test=count), 0.5, seed=0)


@pytest.mark.parametrize("bits", [1, 5, 8])
def test_fewer_bits_keep_the_highest(bits):
    """As Glow reduces them: floor(x / 2^(8 - bits))."""
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    data = reduce_bits(ImageSet(x, None, 256, "set"), bits)
    assert data.levels == 2**bits
    assert data.images.flatten().tolist() == [i // 2 ** (8 - bits) for i in range(256)]


def test_bits_that_cannot_be_had():
    with pytest.raises(DataError, match="bits: expected 1 to 8, got 0"):
        reduce_bits(images(levels=256), 0)
    with pytest.raises(DataError, match="bits: expected 8 for set, which has 17 levels and not 256, got 5"):
        reduce_bits(images(), 5)
    assert reduce_bits(images(), 8).levels == 17


def test_five_bits_of_the_uniform_density():
    """log p = 0 on [0, 1)^d needs 5 bits a pixel; where the density is 2 a pixel, it needs 4."""
    data = reduce_bits(ImageSet(torch.full((1, 1, 2, 2), 100, dtype=torch.uint8), None, 256, "set"), 5)
    x = dequantise(data.images, data.levels)
    assert x.flatten().tolist() == [12.5 / 32] * 4
    assert float(bits_per_dim(torch.zeros(1), 4, data.levels)) == 5
    assert float(bits_per_dim(torch.full((1,), 4 * math.log(2)), 4, data.levels)) == pytest.approx(4)
