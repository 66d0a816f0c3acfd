"""Interpolate between held-out images through a trained flow, by one or several methods, with pictures."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..data import ImageSet, dequantise, hashed_uniform, load_images, quantise
from ..errors import DataError
from ..evaluation import choose_pairs
from ..files import new_folder
from ..flows import ManifoldFlow
from ..interpolation import METHODS, grid, interpolate, methods_for
from ..jobs import JobPaths
from ..report.strips import image_grid
from ..training.saved import weights_sha256
from .record import chosen_device, relative_to, versions
from .train import DataChoice, TrainedRun, load_run

__all__ = [
    "DEMO_METHODS",
    "encoded",
    "interpolate_step",
    "pair_source",
    "save_animation",
    "save_grid",
    "save_sheet",
    "save_strips",
]

DEMO_METHODS: dict[str, tuple[str, ...]] = {
    "gaussian": ("linear", "norm-corrected", "slerp", "matched"),
    "vmf": ("geodesic", "matched"),
    "dirichlet": ("linear", "geodesic", "matched"),
}
"""For each base the methods that are compared unless told otherwise: the published ones, and the law-preserving one."""

_PAIRS_A_CHUNK = 100

_Join = Callable[[Tensor, Tensor, Tensor], Tensor]


def _methods(run: TrainedRun, wanted: list[str] | None) -> list[str]:
    allowed = [*methods_for(run.flow.base), "optimised"]
    names = [m.replace("_", "-") for m in wanted] if wanted else list(DEMO_METHODS[run.description.base])
    if len(set(names)) < len(names):
        raise DataError(f"method: expected different methods, got {', '.join(names)}")
    for name in names:
        if name not in allowed:
            raise DataError(
                f"method: expected one of {', '.join(allowed)} for the base {run.description.base}, got {name!r}"
            )
    return names


def encoded(run: TrainedRun, data: ImageSet, index: Tensor, seed: int, *, chunk: int = 500) -> Iterator[Tensor]:
    """Points of the images at `index`, `chunk` at a time, on the CPU; dequantised as in training.

    Without the noise, in the middle of their cells, they would be denser than anything that the flow
    was trained on.
    """
    for i in index.split(chunk):
        noise = hashed_uniform(i, run.description.dim, seed=seed, epoch=0)
        x = dequantise(data.images[i], run.levels, noise.view(-1, *data.shape))
        yield run.flow.encode(x.to(run.device)).cpu()


def pair_source(run: TrainedRun, data: str | None) -> ImageSet:
    """The images that pairs are taken from: other data, or the model's own test images.

    Raises:
        DataError: They have another shape or other levels than the model.
    """
    if data == run.data.source:
        raise DataError(f"data: the model was trained on {data}; leave --data out to take its held-out test images")
    images = (
        run.load_data()[2] if data is None else load_images(data, size=run.description.shape[1], bits=run.data.bits)
    )
    if images.shape != run.description.shape or images.levels != run.levels:
        raise DataError(
            f"data: expected images {run.description.shape} with {run.levels} levels as the model has, "
            f"got {images.shape} with {images.levels}"
        )
    return images


@torch.no_grad()
def interpolate_step(
    model: Path,
    out: Path,
    *,
    methods: list[str] | None = None,
    pairs: int = 16,
    steps: int = 11,
    seed: int = 0,
    data: str | None = None,
    animate: bool = False,
    samples: int = 0,
    grid_side: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> dict[str, Any]:
    """Write <method>.npz (`points`, `images`, `times`) and <method>.png for each method; return the record.

    Args:
        model: A folder that `train_step` wrote.
        out: New folder.
        methods: Names that suit the model's base, or "optimised" (see `jobs.JobPaths`); None for
            `DEMO_METHODS[base]`.
        pairs: How many pairs of different classes, from the model's test images.
        steps: Times, both ends included.
        seed: Decides the pairs.
        data: Take the pairs from other data of the same shape and levels instead.
        animate: Also write <method>.gif.
        samples: Also draw so many paths between the first pair by each random method, <method>-sheet.png.
        grid_side: Also write grid.png, so many images a side between the ends of the first two pairs.
        device: Where images are encoded and decoded; "auto" is a GPU if there is one.
        progress: Show bars with the time left.

    Raises:
        ValueError, DataError: Not a model; a method that does not suit its base; too few images; `samples` without a
            random method.
    """
    if pairs < 1 or steps < 2:
        raise DataError(f"pairs, steps: expected at least 1 pair and 2 steps, got {pairs} and {steps}")
    place = chosen_device(device)
    run = load_run(model)
    base_name = run.description.base
    names = _methods(run, methods)
    random = [name for name in names if METHODS[name].random]
    if samples and not random:
        raise DataError(f"samples: none of {', '.join(names)} draws random paths; add a bridge or leave it out")
    if grid_side and (grid_side < 2 or pairs < 2):
        raise DataError(f"grid: expected at least 2 images a side and 2 pairs, got {grid_side} and {pairs}")
    if data is not None:
        data = DataChoice(data).resolved().source
    images = pair_source(run, data)
    index = choose_pairs(images, pairs, seed=seed)
    joins = {name: _joining(run.flow, name, steps, seed) for name in names}
    run.flow.to(place)
    start, end = (torch.cat(list(encoded(run, images, column, seed))) for column in index.unbind(1))
    times = torch.linspace(0, 1, steps, dtype=start.dtype)
    assert images.labels is not None
    record: dict[str, Any] = {
        "settings": {
            "model": relative_to(model, out),
            "data": data,
            "methods": names,
            "pairs": pairs,
            "steps": steps,
            "seed": seed,
        },
        "model_sha256": weights_sha256(model),
        "base": base_name,
        "levels": run.levels,
        "pair_index": index.tolist(),
        "pair_labels": images.labels[index].tolist(),
        "versions": versions(),
    }
    with new_folder(out, "interpolate", record) as folder:
        for name, join in joins.items():
            points, decoded = _paths(run, join, start, end, steps, title=name, progress=progress)
            np.savez(folder / f"{name}.npz", points=points.numpy(), images=decoded.numpy(), times=times.numpy())
            save_strips(folder / f"{name}.png", decoded, run.levels)
            if animate:
                save_animation(folder / f"{name}.gif", decoded, run.levels)
        run.flow.cpu()
        for name in random if samples else ():
            save_sheet(
                folder / f"{name}-sheet.png",
                run.flow,
                start[0],
                end[0],
                method=name,
                samples=samples,
                steps=steps,
                levels=run.levels,
                seed=seed,
            )
        if grid_side:
            corners = torch.stack([start[0], end[0], start[1], end[1]])
            save_grid(folder / "grid.png", run.flow, corners, side=grid_side, levels=run.levels, seed=seed)
    return {"command": "interpolate", **record}


def _joining(flow: ManifoldFlow, method: str, steps: int, seed: int) -> _Join:
    """What gives the points (b, m, n) of rows (b,) between their ends (b, n).

    Made while the flow is on the CPU, where all paths but optimised ones are computed: so they are the same for every
    device.
    """
    if method == "optimised":
        paths = JobPaths(flow, method=method, steps=steps, seed=seed)
        return lambda rows, start, end: paths(rows, start, end)["points"]
    base, generator = deepcopy(flow.base), torch.Generator().manual_seed(seed)
    return lambda rows, start, end: interpolate(start, end, method=method, base=base, steps=steps, generator=generator)


def _paths(
    run: TrainedRun, join: _Join, start: Tensor, end: Tensor, steps: int, *, title: str, progress: bool
) -> tuple[Tensor, Tensor]:
    """Points (pairs, steps, n) and images of one method; beside them only a chunk's work is in memory."""
    points = start.new_empty(len(start), steps, start.shape[-1])
    images = torch.empty(len(start), steps, *run.description.shape, dtype=torch.uint8)
    rows = torch.arange(len(start))
    chunks = list(zip(*(x.split(_PAIRS_A_CHUNK) for x in (rows, start, end, points, images))))
    for row, a, b, point, image in tqdm(chunks, desc=title, disable=not progress, leave=False):
        point.copy_(join(row, a, b))
        image.copy_(quantise(run.flow.decode(point.to(run.device)), run.levels))
    return points, images


_STRIPS = 8
_ANIMATED = 16
_FRAME_MS = 120


def save_strips(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs of (pairs, m, c, h, w), a row each, as PNG."""
    image_grid(images[:_STRIPS].flatten(0, 1), levels, columns=images.shape[1]).save(path)


def save_animation(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs side by side, there and back in an endless loop, as GIF."""
    forward = [image_grid(frame, levels) for frame in images[:_ANIMATED].unbind(1)]
    frames = [*forward, *forward[-2:0:-1]]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0)


def save_sheet(
    path: Path,
    flow: ManifoldFlow,
    start: Tensor,
    end: Tensor,
    *,
    method: str,
    samples: int,
    steps: int,
    levels: int,
    seed: int,
) -> None:
    """Several random paths between the same two points (n,), a row each, as PNG."""
    generator = torch.Generator().manual_seed(seed)
    points = interpolate(start, end, method=method, base=flow.base, steps=steps, samples=samples, generator=generator)
    images = quantise(flow.decode(points), levels)
    image_grid(images.flatten(0, 1), levels, columns=steps).save(path)


def save_grid(path: Path, flow: ManifoldFlow, corners: Tensor, *, side: int, levels: int, seed: int) -> None:
    """Images between four encoded corners (4, n), combined so as to keep the base's law, as PNG."""
    points = grid(corners, side, side, base=flow.base, generator=torch.Generator().manual_seed(seed))
    images = quantise(flow.decode(points.flatten(0, 1)), levels)
    image_grid(images, levels, columns=side).save(path)
