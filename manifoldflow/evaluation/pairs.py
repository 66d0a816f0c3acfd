"""Pairs of images of different classes."""

import torch
from torch import Tensor

from ..data import ImageSet
from ..errors import DataError

__all__ = ["choose_pairs"]


def choose_pairs(data: ImageSet, count: int, *, seed: int, reuse: bool = False) -> Tensor:
    """Indices (count, 2) of pairs of images of different classes.

    The images are put in a random order and each is paired with the next; pairs within a class are left out, so about
    9 in 10 images of ten equal classes start a pair. No image starts, or ends, two pairs, unless `reuse` is set: then
    further orders follow until there are enough pairs, and no image starts or ends a second pair before all have had
    their turn.

    Args:
        data: Images with labels of two classes at least; with `reuse` also two images or more without labels.
        count: How many pairs; without `reuse` at most the number of images.
        seed: Decides the pairs.
        reuse: Let an image take part in several pairs.

    Raises:
        DataError: One class only, or fewer pairs available than requested.
    """
    generator = torch.Generator().manual_seed(seed)
    if not reuse:
        data.require_classes("choosing pairs of different classes")
        pairs = _round(data, generator)
        if count > len(pairs):
            raise DataError(
                f"pairs: {data.name} gives {len(pairs)} pairs of different classes, fewer than {count}; "
                f"let images take part in several pairs (--reuse), or ask for at most {len(pairs)}; 'evaluate' needs 64"
            )
        return pairs[torch.randperm(len(pairs), generator=generator)[:count]]
    labels = data.labels
    if len(data) < 2 or (labels is not None and bool((labels == labels[0]).all())):
        raise DataError(f"pairs: expected images of at least two classes, or two without labels, in {data.name}")
    rounds: list[Tensor] = []
    while sum(map(len, rounds)) < count:
        rounds.append(_round(data, generator))
    return torch.cat(rounds)[:count]


def _round(data: ImageSet, generator: torch.Generator) -> Tensor:
    """One random order of the images, each paired with the next, without pairs within a class."""
    order = torch.randperm(len(data), generator=generator)
    pairs = torch.stack([order, order.roll(-1)], dim=1)
    return pairs if data.labels is None else pairs[data.labels[pairs[:, 0]] != data.labels[pairs[:, 1]]]
