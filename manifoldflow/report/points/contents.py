"""What the page about points shows, as plain records: whoever evaluates models fills them in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._geomstats import Manifold
from ...checks import check_kind
from ...evaluation.certify import Certificate, Estimate

__all__ = ["ModelShown", "PathShown", "PointsPage"]


@dataclass(frozen=True)
class ModelShown:
    """A model of the data.

    Attributes:
        certificate: Its held-out negative log-likelihood and what that rests on; its name is the model's.
        samples: Draws `(k, n)`.
        shade: What `density_shade` returns for its distribution; None leaves the map without it.
        two_sample_p: p value of a test of its samples against held-out points; None where there was none.
        calibration: Level of each highest-density region and the share of held-out points inside.
        is_control: Whether it is what the others are measured by, such as a kernel density.
        training_seconds: How long training took.
    """

    certificate: Certificate
    samples: np.ndarray
    shade: np.ndarray | None = None
    two_sample_p: float | None = None
    calibration: Sequence[tuple[float, Estimate]] = ()
    is_control: bool = False
    training_seconds: float | None = None

    @property
    def name(self) -> str:
        """As its certificate has it."""
        return self.certificate.name


@dataclass(frozen=True)
class PathShown:
    """One kind of path between the same pairs of points as the others.

    Attributes:
        name: Such as "geodesic" or "matched, flow".
        points: `(pairs, m, n)` at m equally spaced times from 0 to 1; m is the same for all paths.
        typicality: `(pairs, m)` under `model`, or None.
        model: The name of the model by which typicality is measured.
    """

    name: str
    points: np.ndarray
    typicality: np.ndarray | None = None
    model: str = ""


@dataclass(frozen=True)
class PointsPage:
    """A data set of points on a manifold, the models of it and paths through it.

    Attributes:
        name: Of the data, such as "earthquakes".
        space: Where they live.
        train: Points `(N, n)`.
        held_out: Points `(M, n)`.
        models: At least one.
        paths: May be empty.
        pair_titles: One for each pair of the paths, such as "Tokyo to Santiago"; numbered by default.
        names: Of the coordinates, such as those of angles or of a composition's parts; numbered by default.
        land: Whether the sphere is the Earth, whose coast lines are drawn.
        notes: Sentences for the page's head, such as how many rows were read and skipped.
        settings: Every setting, seed and version: JSON data.
    """

    name: str
    space: Manifold
    train: np.ndarray
    held_out: np.ndarray
    models: Sequence[ModelShown]
    paths: Sequence[PathShown] = ()
    pair_titles: Sequence[str] = ()
    names: Sequence[str] = ()
    land: bool = False
    notes: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind("space", self.space, Manifold)
        if not self.models:
            raise ValueError("models: expected at least one")
        self._check("train", self.train, 2)
        self._check("held_out", self.held_out, 2)
        known = [model.name for model in self.models]
        for number, model in enumerate(self.models):
            self._check(f"models[{number}].samples", model.samples, 2)
        if len(set(known)) < len(known):
            raise ValueError(f"models: expected names that differ, got {', '.join(known)}")
        self._check_paths(known)
        if self.names and len(self.names) != np.shape(self.train)[-1]:
            raise ValueError(
                f"names: expected one for each of {np.shape(self.train)[-1]} columns, got {len(self.names)}"
            )

    def _check(self, name: str, points: np.ndarray, ndim: int) -> None:
        shape, last = np.shape(points), np.shape(self.train)[-1:]
        if len(shape) != ndim or shape[-1:] != last or 0 in shape:
            wanted = ", ".join([*("pairs", "m")[: ndim - 1], "n"]) if ndim > 2 else "N, n"
            raise ValueError(
                f"{name}: expected points ({wanted}) with n = {last[0] if last else '?'}, got shape {shape}"
            )
        if not np.isfinite(points).all():
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")

    def _check_paths(self, models: list[str]) -> None:
        for number, path in enumerate(self.paths):
            self._check(f"paths[{number}].points", path.points, 3)
            shape = np.shape(path.points)[:2]
            first = np.shape(self.paths[0].points)[:2]
            if shape != first or shape[1] < 2:
                raise ValueError(
                    f"paths[{number}].points: expected the pairs and times of the first path, {first}, with at least "
                    f"two times, got {shape}"
                )
            if path.typicality is not None and np.shape(path.typicality) != shape:
                raise ValueError(f"paths[{number}].typicality: expected shape {shape}, got {np.shape(path.typicality)}")
            if path.model and path.model not in models:
                raise ValueError(f"paths[{number}].model: expected one of {', '.join(models)}; got {path.model!r}")
        pairs = len(self.paths[0].points) if self.paths else 0
        if self.pair_titles and len(self.pair_titles) != pairs:
            raise ValueError(f"pair_titles: expected one for each of {pairs} pairs, got {len(self.pair_titles)}")
