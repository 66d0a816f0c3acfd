"""Pairs of images of different classes."""

import torch
from torch import Tensor

from ..data import ImageSet
from ..errors import DataError

__all__ = ["choose_pairs"]


def choose_pairs(data: ImageSet, count: int, *, seed: int) -> Tensor:
    """Indices (count, 2) of pairs of different classes; no image starts, or ends, two paths.

    The images are put in a random order and each is paired with the next; pairs within a class are
    left out, so about 9 in 10 images of ten equal classes start a pair.

    Args:
        data: Images with labels of two classes at least.
        count: How many pairs; at most the number of images.
        seed: Decides the pairs.

    Raises:
        DataError: One class only, or fewer pairs to be had than wanted.
    """
    labels = data.require_classes("choosing pairs of different classes")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=generator)
    pairs = torch.stack([order, order.roll(-1)], dim=1)
    pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    if count > len(pairs):
        raise DataError(f"pairs: {data.name} gives {len(pairs)} pairs of different classes, fewer than {count}")
    return pairs[torch.randperm(len(pairs), generator=generator)[:count]]
