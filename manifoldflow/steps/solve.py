"""Long jobs: a file of end points, and its paths over devices and machines, resumable, bounded in memory."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import DataError
from ..evaluation import Extractor, choose_pairs
from ..files import check_replaceable
from ..flows import BASES
from ..jobs import EndPoints, Job, JobPaths, PathValues, RowSolver, run_job, write_ends
from ..training import Classifier, Placement, SavedFlow, load_flow, train_classifier
from ..training.saved import load_weights, save_weights, sum_of
from .interpolate import encoded, pair_source
from .record import chosen_device, relative_to, versions
from .train import DataChoice, TrainedRun, load_run

__all__ = ["STORED", "ends_step", "solve_step"]

STORED = ("points", "images", "values")
"""What a job can keep of each path."""

_CLASSIFIER = "classifier.safetensors"
_ROWS_AT_ONCE = 250


def solve_step(
    model: Path,
    ends: Path,
    out: Path,
    *,
    method: str = "matched",
    steps: int = 11,
    seed: int = 0,
    options: dict[str, Any] | None = None,
    chunk: int = 32,
    store: tuple[str, ...] = ("points", "images"),
    extractor: Extractor | str | None = None,
    placement: Placement | None = None,
    progress: bool = True,
) -> dict[str, Any] | None:
    """Solve every row of a file of end points; write one .npy for each array, (rows, ...), in the order of the rows.

    failed.npy says which rows failed, summary.json why; their other arrays hold NaN, or zero. The same call continues a
    run that was stopped or killed; see `jobs.run_job` for what is the same bit for bit.

    Args:
        model: A folder that `train_step` or `training.save_flow` wrote.
        ends: What `ends_step` wrote, or an .npz file or folder of .npy files with `start` and `end`: points, or images
            (uint8), which are encoded.
        out: New folder.
        method: A method that suits the base, or "typical-curve".
        steps: Times m of a path, both ends included.
        seed: Of random paths and of the dequantisation of images; each row's noise is a function of (seed, row).
        options: Of the method, plain values; see `jobs.JobPaths`.
        chunk: Rows solved at once; they bound the memory.
        store: Of `STORED`: points (rows, m, n), images (rows, m, c, h, w) uint8, values (see `jobs.PathValues`).
        extractor: Network of the values' features; "classifier" for a small one trained on the model's training images.
        placement: Devices and machines; processes that Lightning starts beside the first return None.
        progress: Show a progress bar.

    Raises:
        DataError: The model, the file, a setting or `out` is not as expected; or the same job was begun with others.
        ChildProcessError, InterruptedError, KeyboardInterrupt: The job was stopped; what is finished is kept.
    """
    _check_stored(chunk, store, extractor)
    saved, points = load_flow(model), EndPoints(ends)
    flow, levels, shape = saved.flow.requires_grad_(False), saved.levels, saved.description.shape
    features = _Features(Path(model), extractor, shape[0], seed)
    wanted = "values" in store
    values = PathValues(flow, levels=levels, extractor=features.extractor, seed=seed) if wanted else None
    paths = JobPaths(flow, method=method, steps=steps, seed=seed, options=options)
    solver = RowSolver(flow, paths, shape=shape, levels=levels, store=store, values=values)
    solver.check(points)
    numbers = {"steps": steps, "seed": seed, "chunk": chunk, "store": sorted(store)}
    job = Job(
        command="solve",
        settings=_settings(saved, points, paths, features.extractor) | numbers,
        record=_record(model, ends, out) | {"base": BASES[saved.description.base].law.title},
        ends=points,
        chunk=chunk,
        solver=solver,
        summarise=lambda folder: _means(folder, steps) if values else {},
        **features.hooks(),
    )
    return run_job(job, out, placement, progress=progress)


def _check_stored(chunk: int, store: tuple[str, ...], extractor: Extractor | str | None) -> None:
    if chunk < 1:
        raise DataError(f"chunk: expected at least 1 row, got {chunk}")
    if not store or not set(store) <= set(STORED):
        raise DataError(f"store: expected some of {', '.join(STORED)}, got {', '.join(store) or 'none'}")
    if extractor is not None and "values" not in store:
        raise DataError("features: they are stored with the values; add values to what is stored")
    if isinstance(extractor, str) and extractor != "classifier":
        raise DataError(f"features: expected 'classifier' or an Extractor, got {extractor!r}")


class _Features:
    """The network of a job's features; a classifier is trained once, by the first process, and kept in the folder."""

    def __init__(self, model: Path, extractor: Extractor | str | None, channels: int, seed: int) -> None:
        self.model, self.seed = model, seed
        self.classifier: Classifier | None = None
        self.extractor = extractor if isinstance(extractor, Extractor) else None
        if isinstance(extractor, str):
            with torch.random.fork_rng(devices=[]):
                self.classifier = Classifier(channels, 2).eval()  # `load` reads its weights; the head is unused
            name, width = "classifier of the training images", self.classifier.num_features
            self.extractor = Extractor(name, self.classifier, width)

    @property
    def network(self) -> nn.Module | None:
        """The module, if the extractor is one."""
        function = self.extractor.function if self.extractor else None
        return function if isinstance(function, nn.Module) else None

    def hooks(self) -> dict[str, Any]:
        """What a `Job` asks of the network."""
        return {"network": self.network, "prepare": self.prepare, "load": self.load}

    def prepare(self, folder: Path) -> None:
        """Train the classifier, if that was not done yet."""
        if self.classifier is not None and not (folder / _CLASSIFIER).is_file():
            train, _, test = load_run(self.model).load_data()
            network, _ = train_classifier(train, test, seed=self.seed, folder=folder)
            save_weights(folder / _CLASSIFIER, network.body)

    def load(self, folder: Path) -> None:
        """Read the classifier's weights."""
        if self.classifier is not None:
            load_weights(folder / _CLASSIFIER, self.classifier.body, "the feature classifier")


def _settings(saved: SavedFlow, points: EndPoints, paths: JobPaths, extractor: Any) -> dict[str, Any]:
    """What decides the results, beside numbers of the call."""
    return {
        "model": _fingerprint(saved),
        "ends": points.fingerprint(),
        "method": paths.method,
        "options": paths.options,
        "features": extractor.name if extractor else None,
    }


def _record(model: Path, ends: Path, out: Path) -> dict[str, Any]:
    paths = {"model": relative_to(model, out), "ends": relative_to(ends, out)}
    return {"paths": paths, "versions": versions()}


def _fingerprint(saved: SavedFlow) -> str:
    """SHA-256 of what decides the paths of a model: its description, its pixels' levels and its weights."""
    described = {**saved.description.to_json(), "pixel_levels": saved.levels}
    return hashlib.sha256(
        (json.dumps(described, sort_keys=True) + sum_of(saved.flow.state_dict())).encode()
    ).hexdigest()


def _means(folder: Path, steps: int) -> dict[str, Any]:
    """Means over the rows that did not fail: of the values along the path at every time, of lengths."""
    good = ~np.load(folder / "failed.npy")
    result: dict[str, Any] = {"times": np.linspace(0, 1, steps).tolist()}
    for name in ("bpd", "z_score", "typicality", "pixel_length", "feature_length"):
        if good.any() and (folder / f"{name}.npy").is_file():
            array = np.load(folder / f"{name}.npy", mmap_mode="r")
            result[f"mean_{name}"] = array[good].mean(0, dtype=np.float64).tolist()
    return result


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
    """Write `start` and `end`, (pairs, n) on the base's manifold in the flow's dtype, to .npy files in `out`.

    Of images also `pair_index`, (pairs, 2), which they are. They have different classes, if there are labels, and none
    starts or ends a second path before all have one.

    Args:
        model: A folder that `train_step` wrote.
        out: New folder, or one that this function wrote, which is replaced.
        pairs: How many; more than there are images is legal.
        seed: Decides the pairs and the noise of their dequantisation, or the draws.
        data: Take the images from other data of the same shape and levels than the model's test images.
        from_base: Draw independent end points from the base instead.
        device: Where images are encoded; "auto" is a GPU if there is one.

    Raises:
        DataError: Not a model, fewer than 1 pair, images of one class only, no such device, or `out` is something else.
    """
    out = Path(out)
    if pairs < 1:
        raise DataError(f"pairs: expected at least 1, got {pairs}")
    check_replaceable(out, "ends")
    if from_base and data is not None:
        raise DataError("data: draws from the base need none; leave out --data or --from-base")
    place = chosen_device(device)
    run = load_run(model)
    shape, dtype = (pairs, *run.flow.base.event_shape), str(next(run.flow.parameters()).dtype).removeprefix("torch.")
    if from_base:
        write_ends(out, shape, _draws(run, pairs, seed, 0), _draws(run, pairs, seed, 1), dtype=dtype)
        return
    images = pair_source(run, None if data is None else DataChoice(data).resolved().source)
    index = choose_pairs(images, pairs, seed=seed, reuse=True)
    run.flow.to(place)
    start, end = (
        (points.numpy() for points in encoded(run, images, column, seed, chunk=_ROWS_AT_ONCE))
        for column in index.unbind(1)
    )
    write_ends(out, shape, start, end, dtype=dtype, others={"pair_index": index.numpy()})


def _draws(run: TrainedRun, count: int, seed: int, which: int) -> Iterator[np.ndarray]:
    for first in range(0, count, _ROWS_AT_ONCE):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence((seed, which, first)).generate_state(1)[0]))
            yield run.flow.base.sample((min(_ROWS_AT_ONCE, count - first),)).numpy()
