"""Which points, and how they are split."""

from dataclasses import dataclass, replace
from pathlib import Path

from ...data import DATA_SETS, POINT_SETS, PointSplit, load_points
from ...errors import DataError
from ...files.typed_json import Record

__all__ = ["PointsChoice"]


@dataclass(frozen=True)
class PointsChoice(Record):
    """Which points, and how they are split.

    Args:
        source, space, columns, label, time, unit, normalise, zeros, missing: As `manifoldflow.data.load_points` has
            them.
        validation, test: Fractions held out; the rest is for training.
        seed: Of the split.
    """

    source: str
    space: str | None = None
    columns: str | None = None
    label: str | None = None
    time: str | None = None
    unit: str | None = None
    normalise: bool = False
    zeros: str = "refuse"
    missing: str = "refuse"
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def resolved(self) -> "PointsChoice":
        """The same with an absolute path, to be found again from anywhere; what does not exist stays as it is."""
        if self.source in POINT_SETS or not Path(self.source).exists():
            return self
        return replace(self, source=str(Path(self.source).resolve()))

    def load(self) -> PointSplit:
        """Training, validation and test points.

        Raises:
            DataError: As `load_points`; images.
        """
        if self.source in DATA_SETS or Path(self.source).is_dir():
            raise DataError(f"space: {self.source} holds images, and no points of a space; leave --space out")
        options = {name: getattr(self, name) for name in ("columns", "label", "time", "unit", "normalise")}
        points = load_points(self.source, self.space, zeros=self.zeros, missing=self.missing, **options)
        return points.split(self.seed, validation=self.validation, test=self.test)
