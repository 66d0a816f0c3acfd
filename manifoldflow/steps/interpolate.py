"""Interpolate between held-out images through a trained flow, by one or several methods, with pictures."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from ..data import ImageSet, dequantise, hashed_uniform, load_images, quantise
from ..errors import DataError
from ..evaluation import choose_pairs
from ..files import new_folder
from ..flows import BASES, ManifoldFlow
from ..interpolation import METHODS, grid, interpolate, methods_for
from ..jobs import JobPaths
from ..report.strips import image_grid
from ..training.saved import weights_sha256
from .progress import progress_bar
from .record import chosen_device, relative_to, versions
from .stored import InterpolationRecord, InterpolationSettings
from .train import DataChoice, TrainedRun, load_run

__all__ = [
    "DEMO_METHODS",
    "encoded",
    "interpolate_step",
    "pair_source",
]

DEMO_METHODS: dict[str, tuple[str, ...]] = {name: choice.compared for name, choice in BASES.items()}
"""For each base the methods that are compared unless told otherwise: the published ones, and the law-preserving one."""

_PAIRS_A_CHUNK = 100
_STRIPS = 8
_ANIMATED = 16
_FRAME_MS = 120

_Join = Callable[[Tensor, Tensor, Tensor], Tensor]


def _methods(run: TrainedRun, wanted: list[str] | None) -> list[str]:
    allowed = [*methods_for(run.flow.base), "typical-curve"]
    names = [_current(name) for name in wanted] if wanted else list(DEMO_METHODS[run.description.base])
    if len(set(names)) < len(names):
        raise DataError(f"method: expected different methods, got {', '.join(names)}")
    for name in names:
        if name not in allowed:
            raise DataError(
                f"method: expected one of {', '.join(allowed)} for the base {run.description.base}, got {name!r}"
            )
    return names


def _current(name: str) -> str:
    """A method's name as the table has it; what older runs call optimised is the typical curve."""
    name = name.replace("_", "-")
    return "typical-curve" if name == "optimised" else name


def encoded(run: TrainedRun, data: ImageSet, index: Tensor, seed: int, *, chunk: int = 500) -> Iterator[Tensor]:
    """Points of the images at `index`, `chunk` at a time, on the CPU; dequantised as in training.

    Without the noise, in the middle of their cells, they would be denser than anything that the flow
    was trained on.
    """
    for i in index.split(chunk):
        noise = hashed_uniform(i, run.description.dim, seed=seed, epoch=0)
        x = dequantise(data.images[i], run.levels, noise.view(-1, *data.shape))
        yield run.flow.encode(x.to(run.device)).cpu()


def pair_source(run: TrainedRun, data: str | None, test: ImageSet | None = None) -> ImageSet:
    """The images that pairs are taken from: other data, or the model's own `test` images (None reads them).

    Raises:
        DataError: They have another shape or other levels than the model.
    """
    if data == run.data.source:
        raise DataError(f"data: the model was trained on {data}; leave --data out to take its held-out test images")
    if data is None:
        images = run.load_data()[2] if test is None else test
    else:
        images = load_images(data, size=run.description.shape[1], bits=run.data.bits)
    if images.shape != run.description.shape or images.levels != run.levels:
        raise DataError(
            f"data: expected images {run.description.shape} with {run.levels} levels as the model has, "
            f"got {images.shape} with {images.levels}"
        )
    return images


class Pictures(TypedDict, total=False):
    """Pictures beside the strips of each method.

    Args:
        animate: <method>.gif.
        samples: So many paths between the first pair by each random method, <method>-sheet.png.
        grid_side: grid.png, so many images a side between the ends of the first two pairs.
    """

    animate: bool
    samples: int
    grid_side: int


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
    reuse: bool = False,
    device: str = "auto",
    progress: bool = False,
    **pictures: Unpack[Pictures],
) -> InterpolationRecord:
    """Write <method>.npz (`points`, `images`, `times`) and <method>.png for each method; return the record.

    Args:
        model: A folder that `train_step` wrote.
        out: New folder.
        methods: Names that suit the model's base, or "typical-curve" (see `jobs.JobPaths`); None for
            `DEMO_METHODS[base]`.
        pairs: How many pairs of different classes, from the model's test images.
        steps: Times, both ends included.
        seed: Decides the pairs.
        data: Take the pairs from other data of the same shape and levels instead.
        reuse: Let an image take part in several pairs, where there are too few images.
        device: Where images are encoded and decoded; "auto" is a GPU if there is one.
        progress: Show bars with the time left.
        pictures: `animate`, for <method>.gif; `samples`, so many paths between the first pair by each random method, in
            <method>-sheet.png; `grid_side`, so many images per side between the first two pairs, in grid.png.

    Raises:
        ValueError, DataError: Not a model; a method that does not suit its base; too few images; `samples` without a
            random method.
    """
    place, run = chosen_device(device), load_run(model)
    names = _methods(run, methods)
    _check_counts(pairs, steps, names, pictures)
    data = None if data is None else DataChoice(data).resolved().source
    images = pair_source(run, data)
    labels, index = images.require_classes("pairing"), choose_pairs(images, pairs, seed=seed, reuse=reuse)
    joins = {name: _joining(run.flow, name, steps, seed) for name in names}  # refuses before the work begins
    run.flow.to(place)
    start, end = (torch.cat(list(encoded(run, images, column, seed))) for column in index.unbind(1))
    record = InterpolationRecord(
        InterpolationSettings(relative_to(model, out), data, tuple(names), pairs, steps, seed, reuse),
        model_sha256=weights_sha256(model),
        base=run.description.base,
        levels=run.levels,
        pair_index=_as_pairs(index),
        pair_labels=_as_pairs(labels[index]),
        versions=versions(),
    )
    with new_folder(out, "interpolate", record.to_json()) as folder:
        for name, join in joins.items():
            points, decoded = _paths(run, join, start, end, steps, title=name, progress=progress)
            _save_method(folder, name, points, decoded, run.levels, animate=bool(pictures.get("animate")))
        run.flow.cpu()
        _more_pictures(folder, run, start, end, record.settings, pictures)
    return record


def _save_method(folder: Path, name: str, points: Tensor, decoded: Tensor, levels: int, *, animate: bool) -> None:
    """One method's points and images, and their pictures."""
    times = torch.linspace(0, 1, points.shape[1], dtype=points.dtype)
    np.savez(folder / f"{name}.npz", points=points.numpy(), images=decoded.numpy(), times=times.numpy())
    _save_strips(folder / f"{name}.png", decoded, levels)
    if animate:
        _save_animation(folder / f"{name}.gif", decoded, levels)


def _as_pairs(rows: Tensor) -> tuple[tuple[int, int], ...]:
    return tuple((a, b) for a, b in rows.tolist())


def _check_counts(pairs: int, steps: int, names: list[str], pictures: Pictures) -> None:
    if pairs < 1 or steps < 2:
        raise DataError(f"pairs, steps: expected at least 1 pair and 2 steps, got {pairs} and {steps}")
    if pictures.get("samples") and not any(METHODS[name].random for name in names):
        raise DataError(f"samples: none of {', '.join(names)} draws random paths; add a bridge or leave it out")
    side = pictures.get("grid_side", 0)
    if side and (side < 2 or pairs < 2):
        raise DataError(f"grid: expected at least 2 images a side and 2 pairs, got {side} and {pairs}")


def _more_pictures(
    folder: Path,
    run: TrainedRun,
    start: Tensor,
    end: Tensor,
    settings: InterpolationSettings,
    pictures: Pictures,
) -> None:
    """The sheets of random paths and the grid between four images, with the flow on the CPU."""
    flow, levels, samples = run.flow, run.levels, pictures.get("samples", 0)
    generator = torch.Generator()
    for name in settings.methods if samples else ():
        if METHODS[name].random:
            points = interpolate(
                start[0],
                end[0],
                method=name,
                base=flow.base,
                steps=settings.steps,
                samples=samples,
                generator=generator.manual_seed(settings.seed),
            )
            images = quantise(flow.decode(points), levels)
            image_grid(images.flatten(0, 1), levels, columns=settings.steps).save(folder / f"{name}-sheet.png")
    if side := pictures.get("grid_side", 0):
        corners = torch.stack([start[0], end[0], start[1], end[1]])
        points = grid(corners, side, side, base=flow.base, generator=generator.manual_seed(settings.seed))
        images = quantise(flow.decode(points.flatten(0, 1)), levels)
        image_grid(images, levels, columns=side).save(folder / "grid.png")


def _joining(flow: ManifoldFlow, method: str, steps: int, seed: int) -> _Join:
    """What gives the points (b, m, n) of rows (b,) between their ends (b, n).

    Made while the flow is on the CPU, where all paths but typical curves are computed: so they are the same for every
    device.
    """
    if method == "typical-curve":
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
    with progress_bar(title, len(chunks), shown=progress) as advance:
        for row, a, b, point, image in chunks:
            point.copy_(join(row, a, b))
            image.copy_(quantise(run.flow.decode(point.to(run.device)), run.levels))
            advance()
    return points, images


def _save_strips(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs of (pairs, m, c, h, w), a row each, as PNG."""
    image_grid(images[:_STRIPS].flatten(0, 1), levels, columns=images.shape[1]).save(path)


def _save_animation(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs side by side, there and back in an endless loop, as GIF."""
    forward = [image_grid(frame, levels) for frame in images[:_ANIMATED].unbind(1)]
    frames = [*forward, *forward[-2:0:-1]]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0)
