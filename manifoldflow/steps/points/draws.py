"""Draws of a model of points, and its density at the points of a file or of a grid."""

import io
import math
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._geomstats import Manifold
from ...checks import check_integer
from ...data import from_lat_long
from ...data.points import read_like
from ...errors import DataError
from ...evaluation.certify import log_densities
from ...files import new_folder, write_bytes, write_text
from ...manifolds import Euclidean, Hypersphere, Simplex, Torus
from ...training.point_models.interface import seeded
from ...training.saved import weights_sha256
from ..record import versions
from .runs import PointsRun, load_points_run

__all__ = ["density_step", "grid_of", "rows_to_csv_text", "sample_points_step"]

_MARK = "# manifoldflow density"
_FIRST_PART = 500_000
_AT_ONCE = 5000


def sample_points_step(model: Path, out: Path, *, count: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Write draws as samples.csv, in the columns and units of the data, and samples.npz (`points`); return the record.

    Args:
        model: A folder that `train_points_step` wrote.
        out: New folder.
        count: How many.
        seed: Of the draws.

    Raises:
        DataError: `model` is not a model of points.
        ValueError: `count` is not positive.
    """
    check_integer("count", count)
    run = load_points_run(model)
    settings = {"model": str(Path(model).resolve()), "count": count, "seed": seed}
    record = {"of": "points", "settings": settings, "versions": versions()}
    with new_folder(out, "sample", record) as folder:
        points = drawn(run, count, seed)
        np.savez(folder / "samples.npz", points=points.numpy())
        write_text(folder / "samples.csv", rows_to_csv_text(run.layout.names, run.layout.from_points(points)))
    return {"command": "sample", **record}


def drawn(run: PointsRun, count: int, seed: int) -> Tensor:
    """Draws `(count, n)` of a model; the caller's generator is left alone."""
    law = run.model.distribution
    with torch.no_grad(), seeded(seed):
        parts = [law.sample(torch.Size((min(_AT_ONCE, count - first),))) for first in range(0, count, _AT_ONCE)]
    return torch.cat(parts)


def rows_to_csv_text(names: Sequence[str], rows: Tensor) -> str:
    """Rows `(N, k)` as CSV with a header."""
    with io.StringIO() as text:
        text.write(",".join(f'"{name}"' if "," in name else name for name in names) + "\n")
        np.savetxt(text, rows.double().numpy(), fmt="%.9g", delimiter=",")
        return text.getvalue()


def density_step(
    model: Path, out: Path, *, at: str = "grid", resolution: int = 90, missing: str = "refuse"
) -> dict[str, Any]:
    """Write the density of a model at the points of a file or of a grid to a CSV or .npz file; return the record.

    A CSV file has the columns and units of the data, then `log_density` (nats; with respect to the space's volume, on
    the simplex Lebesgue measure on all parts but the last) and `density`; an .npz file has `points`, `rows` and
    `log_density`.

    Args:
        model: A folder that `train_points_step` wrote.
        out: File to write, .csv or .npz; one that this step wrote is replaced, any other is not.
        at: A file whose rows stand as those of the data do, or "grid".
        resolution: Of the grid: nodes from pole to pole, around each angle, along each edge.
        missing: "refuse" rows of the file that lack a coordinate, or "skip" them.

    Raises:
        DataError: Not a model of points; a file that is not as expected; a space of more dimensions than a grid has.
    """
    out = Path(out)
    _check_file_name(out)
    run = load_points_run(model)
    law, dtype = run.model.distribution, run.model.dtype
    if at == "grid":
        points = grid_of(run.model.space, check_integer("resolution", resolution, 2, 2000), law)
    else:
        points = read_like(Path(at), run.layout, missing=missing)
    values = log_densities(law, points.to(dtype))
    _write_density(out, run, points, values)
    settings = {
        "model": str(Path(model).resolve()),
        "at": at,
        "resolution": resolution,
        "missing": missing,
        "out": str(out),
    }
    return {
        "command": "density",
        "of": "points",
        "settings": settings,
        "points": len(points),
        "model_sha256": weights_sha256(run.folder),
        "mean_log_density": float(values.mean()),
        "versions": versions(),
    }


def _check_file_name(out: Path) -> None:
    if out.suffix not in (".csv", ".npz"):
        raise DataError(f"--out: expected a name that ends in .csv or .npz, got {str(out)!r}")
    if not out.exists():
        return
    if out.is_dir():
        raise DataError(f"--out: {out} is a folder; choose another name")
    with out.open("rb") as file:
        start = file.read(_FIRST_PART)
    if not (start.startswith(_MARK.encode()) if out.suffix == ".csv" else b"log_density.npy" in start):
        raise DataError(f"--out: {out} exists and is not what this command writes; choose another name")


def _write_density(out: Path, run: PointsRun, points: Tensor, values: Tensor) -> None:
    rows = run.layout.from_points(points)
    if out.suffix == ".npz":
        with io.BytesIO() as content:
            np.savez(content, log_density=values.numpy(), points=points.numpy(), rows=rows.numpy())
            write_bytes(out, content.getvalue())
        return
    table = torch.cat([rows.double(), values[:, None], values.exp()[:, None]], dim=1)
    names = (*run.layout.names, "log_density", "density")
    write_text(out, f"{_MARK} of {run.name}, nats\n" + rows_to_csv_text(names, table))


@singledispatch
def grid_of(space: Manifold, resolution: int, law: Any) -> Tensor:
    """Points of an even grid over a space of one or two dimensions.

    Raises:
        DataError: A space of more.
    """
    raise _no_grid(space)


def _no_grid(space: Manifold) -> DataError:
    return DataError(f"at: expected a file, since {space!r} has more dimensions than a grid shows, got 'grid'")


def _middles(low: float, high: float, count: int) -> Tensor:
    return low + (torch.arange(count, dtype=torch.float64) + 0.5) / count * (high - low)


@grid_of.register
def _(space: Hypersphere, resolution: int, law: Any) -> Tensor:
    if space.dim == 1:
        around = _middles(-math.pi, math.pi, 2 * resolution)
        return torch.stack([around.cos(), around.sin()], dim=-1)
    if space.dim != 2:
        raise _no_grid(space)
    return from_lat_long(torch.cartesian_prod(_middles(-90, 90, resolution), _middles(-180, 180, 2 * resolution)))


@grid_of.register
def _(space: Torus, resolution: int, law: Any) -> Tensor:
    return _square(space, [_middles(-math.pi, math.pi, resolution)] * space.dim)


@grid_of.register
def _(space: Euclidean, resolution: int, law: Any) -> Tensor:
    with torch.no_grad(), seeded(0):
        draws = law.sample(torch.Size((2000,))).double()
    low, high = draws.amin(0).tolist(), draws.amax(0).tolist()
    return _square(space, [_middles(a, b, resolution) for a, b in zip(low, high)])


def _square(space: Manifold, axes: list[Tensor]) -> Tensor:
    if len(axes) > 2:
        raise _no_grid(space)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


@grid_of.register
def _(space: Simplex, resolution: int, law: Any) -> Tensor:
    if space.dim > 2:
        raise _no_grid(space)
    first = _middles(0, 1, resolution)
    if space.dim == 1:
        return torch.stack([first, 1 - first], dim=-1)
    a, b = torch.meshgrid(first, first, indexing="ij")
    inside = a + b < 1 - 0.25 / resolution
    return torch.stack([a[inside], b[inside], (1 - a - b)[inside]], dim=-1)
