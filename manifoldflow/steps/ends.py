"""A file of end points for a long job: encoded pairs of images, or draws from a model's base."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data import ImageSet
from ..errors import DataError
from ..jobs import write_ends
from .devices import chosen_device
from .interpolate import encoded, pair_source
from .train import DataChoice, TrainedRun, load_run

__all__ = ["ends_step"]

_ROWS_AT_ONCE = 250


@torch.no_grad()
def ends_step(
    model: Path,
    out: Path,
    *,
    pairs: int,
    seed: int = 0,
    data: str | None = None,
    from_base: bool = False,
    device: str = "auto",
) -> None:
    """Write `start` and `end`, (pairs, n) on the base's manifold in the flow's dtype, to the .npz file `out`.

    Of images also `pair_index`, (pairs, 2), which they are. They have different classes, if there are labels, and none
    starts or ends a second path before all have one.

    Args:
        model: A folder that `train_step` wrote.
        out: New file.
        pairs: How many; more than there are images is legal.
        seed: Decides the pairs and the noise of their dequantisation, or the draws.
        data: Take the images from other data of the same shape and levels than the model's test images.
        from_base: Draw independent end points from the base instead.
        device: Where images are encoded; "auto" is a GPU if there is one.

    Raises:
        DataError: Not a model, fewer than 1 pair, images of one class only, no such device, or `out` exists.
    """
    out = Path(out)
    if pairs < 1:
        raise DataError(f"pairs: expected at least 1, got {pairs}")
    if out.suffix != ".npz" or out.exists():
        raise DataError(f"--out: expected a new file that ends in .npz, got {out}; choose another name")
    if from_base and data is not None:
        raise DataError("data: draws from the base need none; leave out --data or --from-base")
    place = chosen_device(device)
    run = load_run(model)
    shape, dtype = (pairs, *run.flow.base.event_shape), str(next(run.flow.parameters()).dtype).removeprefix("torch.")
    if from_base:
        write_ends(out, shape, _draws(run, pairs, seed, 0), _draws(run, pairs, seed, 1), dtype=dtype)
        return
    images = pair_source(run, None if data is None else DataChoice(data).resolved().source)
    index = _draw_pairs(images, pairs, seed)
    run.flow.to(place)
    start, end = (
        (points.numpy() for points in encoded(run, images, column, seed, chunk=_ROWS_AT_ONCE))
        for column in index.unbind(1)
    )
    write_ends(out, shape, start, end, dtype=dtype, others={"pair_index": index.numpy()})


def _draw_pairs(images: ImageSet, count: int, seed: int) -> Tensor:
    """Indices (count, 2): rounds in which the images are put in random order and each is paired with the next."""
    labels = images.labels
    if len(images) < 2 or (labels is not None and bool((labels == labels[0]).all())):
        raise DataError(f"pairs: expected images of at least two classes, or two without labels, in {images.name}")
    generator = torch.Generator().manual_seed(seed)
    rounds: list[Tensor] = []
    while sum(map(len, rounds)) < count:
        order = torch.randperm(len(images), generator=generator)
        pairs = torch.stack([order, order.roll(-1)], dim=1)
        rounds.append(pairs if labels is None else pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    return torch.cat(rounds)[:count]


def _draws(run: TrainedRun, count: int, seed: int, which: int) -> Iterator[np.ndarray]:
    for first in range(0, count, _ROWS_AT_ONCE):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence((seed, which, first)).generate_state(1)[0]))
            yield run.flow.base.sample((min(_ROWS_AT_ONCE, count - first),)).numpy()
