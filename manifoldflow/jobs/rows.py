"""One block of rows from end points to what is stored; a row that fails is named, the others finish."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import bits_per_dim, dequantise, hashed_uniform, quantise
from ..errors import DataError
from ..evaluation import Extractor
from ..evaluation.path_figures import path_steps
from ..flows import ManifoldFlow
from ..realism import log_density_law
from .end_points import EndPoints
from .row_paths import JobPaths

__all__ = ["Field", "PathValues", "RowResults", "RowSolver"]

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Field:
    """What a job stores for each row.

    Args:
        shape: Of one row.
        dtype: Name of numpy's type.
    """

    shape: tuple[int, ...]
    dtype: str

    def blank(self, rows: int) -> np.ndarray:
        """What rows that failed hold: NaN, or zero where there is none."""
        return np.full((rows, *self.shape), np.nan if self.dtype.startswith("float") else 0, self.dtype)


@dataclass(frozen=True)
class RowResults:
    """The results of consecutive rows.

    Args:
        arrays: By field, (b, *shape).
        reasons: For each row why it failed, "" if it did not.
    """

    arrays: dict[str, np.ndarray]
    reasons: list[str]


class PathValues:
    """The figures of paths row by row: called with rows, it returns a dict of arrays, one row each.

    Args:
        flow: Its density, and its base's typicality.
        levels: Number of values a pixel can take.
        extractor: Network of the features; None leaves features and their lengths out.
        seed: Of the draws that stand for a base whose log-density has no known law.

    The figures of a path (m times): `bpd` (m,), bits per dimension of the decoded points under the flow; `z_score` (m,)
    and `typicality` (m,) of the points under the base, see `realism.typicality`; `pixel_length` (), the sum of the
    Euclidean distances between neighbouring images as shown, of values in [0, 1]; `features` (m, width) of the images
    as shown, and `feature_length` ().
    """

    def __init__(self, flow: ManifoldFlow, *, levels: int, extractor: Extractor | None = None, seed: int = 0) -> None:
        self.flow, self.levels, self.extractor = flow, levels, extractor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._law = log_density_law(deepcopy(flow.base))  # stays where it is when the flow moves

    def __repr__(self) -> str:
        return f"PathValues(levels={self.levels}, features={self.extractor.name if self.extractor else None!r})"

    def shapes(self, steps: int) -> dict[str, tuple[int, ...]]:
        """Shape of each figure of one path at `steps` times."""
        along: dict[str, tuple[int, ...]] = dict.fromkeys(("bpd", "z_score", "typicality"), (steps,))
        if self.extractor is None:
            return {**along, "pixel_length": ()}
        return {
            **along,
            "pixel_length": (),
            "features": (steps, self.extractor.num_features),
            "feature_length": (),
        }

    @torch.no_grad()
    def __call__(self, points: Tensor, x: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Figures of paths as float32 on the CPU.

        Args:
            points: On the base's manifold, (b, m, n), on the CPU.
            x: The decoded points, (b, m, c, h, w), on the flow's device.
            images: The same as shown, uint8.
        """
        b, m = points.shape[:2]
        less, more = self._law.log_tails(points)
        z = (self._law.log_prob(points).double() - self._law.mean) / self._law.deviation
        log_prob = self.flow.log_prob(x.flatten(0, 1)).view(b, m)
        shown = images.flatten(0, 1).float() / (self.levels - 1)
        figures: dict[str, Any] = {
            "bpd": bits_per_dim(log_prob, x[0, 0].numel(), self.levels),
            "z_score": z,
            "typicality": (2 * torch.minimum(less, more).exp()).clamp_max(1),
            "pixel_length": path_steps(shown.view(b, m, -1)).sum(1),
        }
        if self.extractor is not None:
            features = self.extractor.function(shown).view(b, m, -1)
            figures |= {"features": features, "feature_length": path_steps(features).sum(1)}
        return {name: value.float().cpu() for name, value in figures.items()}


class RowSolver:
    """Rows of end points to paths, decoded images and figures.

    Args:
        flow: Encodes and decodes, in eval mode.
        paths: Joins the ends.
        shape: (c, h, w) of the images.
        levels: Number of values a pixel can take.
        store: Of "points" (m, n) in the flow's dtype, "images" (m, c, h, w) of uint8 and "values", which to keep.
        values: Gives the figures, if they are stored.
    """

    def __init__(
        self,
        flow: ManifoldFlow,
        paths: JobPaths,
        *,
        shape: tuple[int, ...],
        levels: int,
        store: tuple[str, ...] = ("points", "images"),
        values: PathValues | None = None,
    ) -> None:
        self.flow, self.paths, self.shape, self.levels, self.values = flow, paths, shape, levels, values
        (n,), m = paths.base.event_shape, paths.steps
        dtype = str(_dtype_of(flow)).removeprefix("torch.")
        fields = {"points": Field((m, n), dtype), "images": Field((m, *shape), "uint8")}
        self.fields = {name: field for name, field in fields.items() if name in store}
        self.fields |= {name: Field((), _SOLVED_TYPES.get(name, "float32")) for name in paths.solved}
        if values is not None:
            self.fields |= {name: Field(size, "float32") for name, size in values.shapes(m).items()}

    def __repr__(self) -> str:
        return f"RowSolver({self.paths!r}, images of {tuple(self.shape)}, stores {', '.join(self.fields)})"

    def check(self, ends: EndPoints) -> None:
        """Raise unless `ends` fit the flow.

        Raises:
            DataError: Points of another manifold, images of another shape.
        """
        expected = tuple(self.shape) if ends.are_images else tuple(self.paths.base.event_shape)
        if ends.shape != expected:
            raise DataError(
                f"ends: {ends.path}: expected {'images' if ends.are_images else 'points'} of shape {expected} as the "
                f"model has, got {ends.shape}"
            )

    @torch.no_grad()
    def __call__(self, rows: Tensor, start: np.ndarray, end: np.ndarray) -> RowResults:
        """Solve the `rows` (b,), int64, with the ends (b, n), or (b, c, h, w) of images."""
        arrays = {name: field.blank(len(rows)) for name, field in self.fields.items()}
        found, reasons = self._paths(rows, torch.from_numpy(start), torch.from_numpy(end))
        good = torch.tensor([i for i, reason in enumerate(reasons) if not reason], dtype=torch.long)
        if not len(good):
            return RowResults(arrays, reasons)
        x = self._decode(found["points"])
        finite = x.flatten(1).isfinite().all(1).cpu()
        for i in good[~finite].tolist():
            reasons[i] = "the decoded path is not finite"
        good, x = good[finite], x[finite.to(x.device)]
        if len(good):
            found = {name: value[finite] for name, value in found.items()}
            images = quantise(x, self.levels)
            found |= {"images": images.cpu()}
            if self.values is not None:
                found |= self.values(found["points"], x, images)
            for name in arrays:
                arrays[name][good.numpy()] = found[name].numpy()
        return RowResults(arrays, reasons)

    def _paths(self, rows: Tensor, start: Tensor, end: Tensor) -> tuple[dict[str, Tensor], list[str]]:
        """The paths of the rows that have one, and for each row why it has none."""
        try:
            return self._join(rows, start, end), [""] * len(rows)
        except ValueError as error:
            if len(rows) == 1:
                reason = " ".join(str(error).split()).replace(" at row 0", "")  # of this call, not of the job
                return {}, [reason[:_LONGEST_REASON]]
        parts = [self._paths(rows[i : i + 1], start[i : i + 1], end[i : i + 1]) for i in range(len(rows))]
        solved = [found for found, _ in parts if found]
        joined = {name: torch.cat([found[name] for found in solved]) for name in (solved[0] if solved else ())}
        return joined, [reasons[0] for _, reasons in parts]

    def _join(self, rows: Tensor, start: Tensor, end: Tensor) -> dict[str, Tensor]:
        if start.dtype == torch.uint8:
            start, end = (self._encode(rows, images, i) for i, images in enumerate((start, end)))
        dtype = _dtype_of(self.flow)
        return self.paths(rows, start.to(dtype), end.to(dtype))

    def _encode(self, rows: Tensor, images: Tensor, which: int) -> Tensor:
        """Points of images, dequantised with noise that is a function of (seed, row) and of which end it is."""
        if bool((images >= self.levels).any()):
            raise ValueError(f"expected images with values below {self.levels}, got {int(images.max())}")
        noise = hashed_uniform(rows, images[0].numel(), seed=self.paths.seed, epoch=which)
        x = dequantise(images, self.levels, noise.view(images.shape))
        return self.flow.encode(x.to(next(self.flow.parameters()))).cpu()

    def _decode(self, points: Tensor) -> Tensor:
        """(b, m, c, h, w) on the flow's device."""
        flat = points.flatten(0, 1).to(next(self.flow.parameters()))
        return self.flow.decode(flat).view(*points.shape[:2], *self.shape)


def _dtype_of(flow: ManifoldFlow) -> torch.dtype:
    return next(flow.parameters()).dtype


_SOLVED_TYPES = {"iterations": "int64", "status": "int64"}
