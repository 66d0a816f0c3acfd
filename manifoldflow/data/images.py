"""ImageSet: images as integers with their number of levels, checked once where they enter."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..checks import check_integer, check_kind, check_number, describe
from ..errors import DataError

__all__ = ["ImageSet", "reduce_bits", "split", "split_published"]


_LEAST = 1e-9
_FEWEST = 0.5
"""A part of less than half an image is rounded to none."""


@dataclass(frozen=True)
class ImageSet:
    """Images with integer grey or colour values 0 ... levels - 1.

    Args:
        images: (N, c, h, w), uint8.
        labels: (N,), int64, or None where the data has none.
        levels: Number of values a pixel can take: 256 for 8-bit images, 17 for scikit-learn's digits.
        name: For reports.
        published_test: So many images at the end are the test part that was published with the data.
        note: What its checksums say about its origin, if anything.

    Raises:
        DataError: Wrong shape, dtype or range; an empty set; labels of another length.
    """

    images: Tensor
    labels: Tensor | None
    levels: int
    name: str
    published_test: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        check_kind("images", images, Tensor)
        if labels is not None:
            check_kind("labels", labels, Tensor)
        if type(self.levels) is not int or not 2 <= self.levels <= 256:
            raise DataError(f"{self.name}: levels: expected 2 to 256, got {describe(self.levels)}")
        check_integer("published_test", self.published_test, 0)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise DataError(
                f"{self.name}: expected images of shape (N, c, h, w) with c = 1 or 3, got {tuple(images.shape)}"
            )
        if len(images) == 0:
            raise DataError(f"{self.name}: expected at least one image, got an empty set")
        if min(images.shape[2:]) < 2:
            raise DataError(f"{self.name}: expected images of at least 2 x 2, got {tuple(images.shape[2:])}")
        if images.dtype != torch.uint8:
            raise DataError(f"{self.name}: expected uint8 images, got {images.dtype}; round and convert them first")
        if int(images.max()) >= self.levels:
            raise DataError(
                f"{self.name}: expected values 0 to {self.levels - 1}, got {int(images.max())}; give the right levels"
            )
        if labels is not None and (labels.shape != images.shape[:1] or labels.dtype != torch.int64):
            raise DataError(
                f"{self.name}: expected int64 labels of shape ({len(images)},), "
                f"got {labels.dtype} of shape {tuple(labels.shape)}"
            )

    def __repr__(self) -> str:
        size = "x".join(map(str, self.shape))
        labels = "no labels" if self.labels is None else f"{len(self.labels.unique())} classes"
        return f"ImageSet({self.name!r}, {len(self)} images of {size}, {self.levels} levels, {labels})"

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    def fingerprint(self) -> str:
        """SHA-256 of the images and labels, to tell whether data is what it was."""
        digest = hashlib.sha256(self.images.contiguous().numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()

    def select(self, index: Tensor) -> "ImageSet":
        """The images at `index` (int64 or bool), with their labels; which of them are for testing is forgotten.

        Raises:
            TypeError: `index` is not such a tensor.
            IndexError: It has numbers that are not those of images.
        """
        if not isinstance(index, Tensor) or index.dtype not in (torch.int64, torch.bool) or index.ndim != 1:
            raise TypeError(f"index: expected a vector of int64 or bool, got {describe(index)}")
        labels = None if self.labels is None else self.labels[index]
        return replace(self, images=self.images[index], labels=labels, published_test=0)

    def require_classes(self, purpose: str) -> Tensor:
        """The labels, if there are at least two classes.

        Raises:
            DataError: No labels, or one class only.
        """
        if self.labels is None:
            raise DataError(f"{self.name}: {purpose} needs labels, and the data has none")
        if len(self.labels.unique()) < 2:
            raise DataError(f"{self.name}: {purpose} needs at least two classes, got only class {int(self.labels[0])}")
        return self.labels


def split(data: ImageSet, fractions: Sequence[float], *, seed: int) -> list[ImageSet]:
    """Disjoint random parts of the data; a function of `seed` and the data's size only.

    Args:
        data: What to split.
        fractions: Positive, summing to 1 at the most; each part gets at least one image.
        seed: Decides the order.

    Raises:
        DataError: Too few images for that many parts.
    """
    check_kind("data", data, ImageSet, "an")
    seed = check_integer("seed", seed, -(2**63), 2**64 - 1)
    if not isinstance(fractions, Sequence) or isinstance(fractions, str) or not fractions:
        raise TypeError(f"fractions: expected a list of numbers, got {describe(fractions)}")
    fractions = [check_number(f"fractions[{i}]", part, _LEAST, 1) for i, part in enumerate(fractions)]
    if sum(fractions) > 1 + 1e-9:
        raise ValueError(f"fractions: expected positive numbers that sum to 1 at most, got {fractions}")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    cumulative = torch.tensor([0.0, *fractions], dtype=torch.float64).cumsum(0)

    def parts(count: int) -> list[tuple[int, int]]:
        return list(itertools.pairwise((cumulative * count).round().long().tolist()))

    if any(a == b for a, b in parts(len(data))):
        first = max(len(data) + 1, int(_FEWEST / min(fractions)))  # of fewer, the smallest part gets none
        enough = next(n for n in itertools.count(first) if all(a < b for a, b in parts(n)))
        raise DataError(
            f"{data.name}: {len(data)} images are too few to split into {len(fractions)} parts; {enough} are enough"
        )
    return [data.select(order[a:b]) for a, b in parts(len(data))]


def split_published(data: ImageSet, validation: float, *, seed: int) -> list[ImageSet]:
    """Training, validation and test images, the last being the test part that was published with the data.

    Args:
        data: With a published test part.
        validation: Fraction of the other images that is held out.
        seed: Decides which.

    Raises:
        DataError: The data has no published test part, or too few other images.
    """
    check_kind("data", data, ImageSet, "an")
    if check_number("validation", validation, 0, 1) in (0, 1):
        raise ValueError(f"validation: expected a fraction between 0 and 1, got {validation}")
    count = len(data) - data.published_test
    if not 0 < data.published_test < len(data):
        raise DataError(
            f"{data.name}: expected a published training and a published test part, "
            f"got {count} images of the former and {data.published_test} of the latter"
        )
    index = torch.arange(len(data))
    return [*split(data.select(index[:count]), [1 - validation, validation], seed=seed), data.select(index[count:])]


def reduce_bits(data: ImageSet, bits: int) -> ImageSet:
    """8-bit images with the highest `bits` bits only, floor(x / 2^(8 - bits)): 5 bits give 32 levels, as in Glow.

    Raises:
        DataError: `bits` is not 1 to 8, or fewer than 8 are wanted of data that has not 256 levels.

    Reference: Kingma and Dhariwal 2018 (arXiv 1807.03039), section 6, on 5-bit images.
    """
    check_kind("data", data, ImageSet, "an")
    if type(bits) is not int or not 1 <= bits <= 8:
        raise DataError(f"bits: expected 1 to 8, got {bits!r}")
    if bits == 8:
        return data
    if data.levels != 256:
        raise DataError(f"bits: expected 8 for {data.name}, which has {data.levels} levels and not 256, got {bits}")
    return replace(data, images=data.images >> (8 - bits), levels=2**bits)
