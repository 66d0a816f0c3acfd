"""Paths between points through a model of them, by one or several methods."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_integer
from ...data.layouts import Layout
from ...data.tables import is_number
from ...errors import DataError
from ...evaluation.certify import log_densities
from ...files import MARKER, damaged, new_folder, read_npz, write_text
from ...interpolation import METHODS, interpolate, methods_for
from ...manifolds import broadcasting
from ...realism.typicality import log_density_law
from ...training.point_models.interface import seeded
from ...training.saved import weights_sha256
from ..progress import progress_bar
from ..record import read_record, recorded_model, relative_to, versions
from .along import density_energy, path_along_data, smooth_density
from .draws import rows_to_csv_text
from .records import RouteSettings, RoutesRecord
from .runs import PointsRun, load_points_run

__all__ = ["interpolate_points_step", "read_routes"]

_TYPICAL_DRAWS = 4000
_TYPICAL_DRAWS_BY_SOLVER = 1000


def interpolate_points_step(
    model: Path,
    out: Path,
    *,
    methods: list[str] | None = None,
    start: Sequence[str] = (),
    end: Sequence[str] = (),
    pairs: int = 8,
    steps: int = 33,
    seed: int = 0,
    progress: bool = False,
) -> RoutesRecord:
    """Write <method>.csv and <method>.npz for each method; return the record.

    A CSV file has the columns pair, t, those of the data in its units, log_density and typicality under the model; an
    .npz file `points` (pairs, m, n), `times`, `log_density` and `typicality`.

    Args:
        model: A folder that `train_points_step` wrote.
        out: New folder.
        methods: "geodesic" of the data's space; "matched", for models with a lift, such as flows; "optimised", the
            curve of least realism energy under a smooth kernel density of the training points; or others that suit
            the model. None for geodesic and, where it is known, matched.
        start, end: As many of one as of the other: points, each its numbers in the file's units, separated by commas.
        pairs: Without them, how many pairs of test points.
        steps: Times, both ends included.
        seed: Decides the pairs and what is drawn.
        progress: Show a bar.

    Raises:
        ValueError, DataError: Not a model of points, a method that does not suit it, numbers that are no point.
    """
    check_integer("pairs", pairs)
    check_integer("steps", steps, 2)
    run = load_points_run(model)
    names = _methods(run, methods)
    first, last, index = _ends(run, start, end, pairs, seed)
    settings = RouteSettings(relative_to(model, out), tuple(names), len(first), steps, seed, tuple(start), tuple(end))
    shared: dict[str, Any] = {"of": "points", "settings": settings.to_json(), "versions": versions()}
    figures: dict[str, dict[str, float]] = {"lengths": {}, "typicality": {}, "seconds": {}}
    shared |= {"model_sha256": weights_sha256(model), "layout": run.layout.to_json(), "pair_index": index, **figures}
    with new_folder(out, "interpolate", shared) as folder, progress_bar("paths", len(names), shown=progress) as advance:
        law = _typicality_law(run)
        for name in names:
            began = time.perf_counter()
            points = _paths(run, name, first, last, steps, seed)
            figures["seconds"][name] = round(time.perf_counter() - began, 2)
            typical = _save(folder, name, run, law, points)
            figures["lengths"][name] = float(_length(run.model.space, points))
            figures["typicality"][name] = float(typical.mean())
            advance()
    return RoutesRecord.from_json(shared)


def _methods(run: PointsRun, wanted: list[str] | None) -> list[str]:
    allowed = [*methods_for(run.model.distribution), "optimised"]
    if wanted is None:
        return [name for name in ("geodesic", "matched") if name in allowed]
    names = [name.replace("_", "-") for name in wanted]
    if len(set(names)) < len(names):
        raise DataError(f"method: expected different methods, got {', '.join(names)}")
    for name in names:
        if name not in allowed:
            why = f" ({name} is for {METHODS[name].asks})" if name in METHODS else ""
            raise DataError(
                f"method: expected one of {', '.join(allowed)} for a {run.model.title} on {run.model.space!r}, "
                f"got {name!r}{why}"
            )
    return names


def _ends(
    run: PointsRun, start: Sequence[str], end: Sequence[str], pairs: int, seed: int
) -> tuple[Tensor, Tensor, tuple[tuple[int, int], ...]]:
    """Both ends `(pairs, n)`, and which test points they are."""
    if len(start) != len(end):
        raise DataError(
            f"--from, --to: expected as many of one as of the other, got {len(start)} and {len(end)}; without them, "
            "pairs of held-out points are joined"
        )
    if start:
        given = (("--from", start), ("--to", end))
        first, last = (torch.cat([_point(run.layout, name, text) for text in texts]) for name, texts in given)
        return first.to(run.model.dtype), last.to(run.model.dtype), ()
    test = run.load_data().test.points.to(run.model.dtype)
    if 2 * pairs > len(test):
        raise DataError(f"pairs: {pairs} pairs need {2 * pairs} held-out points, got {len(test)}; take fewer --pairs")
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))[: 2 * pairs].reshape(-1, 2)
    index = tuple((int(a), int(b)) for a, b in order.tolist())
    return test[order[:, 0]], test[order[:, 1]], index


def _point(layout: Layout, name: str, text: str) -> Tensor:
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) != len(layout.names) or not all(map(is_number, cells)):
        raise DataError(
            f"{name}: expected {len(layout.names)} numbers separated by commas ({', '.join(layout.names):.100}), "
            f"got {text!r:.100}"
        )
    values = torch.tensor([[float(cell) for cell in cells]], dtype=torch.float64)
    return layout.to_points(values, lambda row: name)[0]


def _paths(run: PointsRun, name: str, start: Tensor, end: Tensor, steps: int, seed: int) -> Tensor:
    """Points `(pairs, steps, n)`."""
    if name == "optimised":
        return _optimised(run, start, end, steps, seed)
    options: dict[str, Any] = {"generator": torch.Generator().manual_seed(seed)} if METHODS[name].random else {}
    with torch.no_grad(), seeded(seed):
        law = run.model.distribution
        found: Tensor = interpolate(start, end, method=name, base=law, steps=steps, **options)
    return found


def _optimised(run: PointsRun, start: Tensor, end: Tensor, steps: int, seed: int) -> Tensor:
    train = run.load_data().train.points.to(run.model.dtype)
    with seeded(seed):
        energy = density_energy(smooth_density(train, run.model.space))
        path = path_along_data(energy, train, start, end)
        return path(torch.linspace(0, 1, steps, dtype=start.dtype)).detach()


def _typicality_law(run: PointsRun) -> Any:
    law = run.model.distribution
    draws = _TYPICAL_DRAWS if getattr(law, "tolerance", None) is None else _TYPICAL_DRAWS_BY_SOLVER
    with seeded(0):
        return log_density_law(law, samples=draws)


def _save(folder: Path, name: str, run: PointsRun, law: Any, points: Tensor) -> Tensor:
    """Write one method's files; return the typicality `(pairs, m)`."""
    pairs, m = points.shape[:2]
    times = torch.linspace(0, 1, m, dtype=torch.float64)
    density = log_densities(run.model.distribution, points.flatten(0, 1)).reshape(pairs, m)
    with torch.no_grad():
        less, more = (tail.reshape(pairs, m) for tail in law.log_tails(points.flatten(0, 1)))
    typical = (2 * torch.minimum(less, more).exp()).clamp_max(1).double()
    arrays = {"points": points, "times": times, "log_density": density, "typicality": typical}
    np.savez(folder / f"{name}.npz", **{key: value.numpy() for key, value in arrays.items()})  # type: ignore[arg-type]
    rows = run.layout.from_points(points).double()
    pair = torch.arange(pairs, dtype=torch.float64)[:, None].expand(pairs, m)
    columns = [pair[..., None], times.expand(pairs, m)[..., None], rows, density[..., None], typical[..., None]]
    names = ("pair", "t", *run.layout.names, "log_density", "typicality")
    write_text(folder / f"{name}.csv", rows_to_csv_text(names, torch.cat(columns, -1).flatten(0, 1)))
    return typical


def _length(space: Manifold, points: Tensor) -> Tensor:
    """Mean length of the paths in the space's metric."""
    return broadcasting(space.metric).dist(points[:, :-1], points[:, 1:]).sum(-1).mean()


def read_routes(folder: Path) -> tuple[PointsRun, RoutesRecord, dict[str, dict[str, np.ndarray]]]:
    """The model, the record and each method's arrays that `interpolate_points_step` wrote.

    Raises:
        DataError: Not such a folder, a damaged one, or one whose model has changed.
    """
    folder = Path(folder)
    content = read_record(folder, "interpolate")
    with damaged(folder / MARKER, "interpolate again"):
        record = RoutesRecord.from_json(content)
    run = load_points_run(recorded_model(folder, record))
    arrays = {}
    for name in record.settings.methods:
        if name not in METHODS:
            raise DataError(f"{folder / MARKER}: unknown method {name!r:.100}")
        arrays[name] = read_npz(folder / f"{name}.npz")
    return run, record, arrays
