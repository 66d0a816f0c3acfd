"""Long jobs over a file of end points, spread by Lightning over devices and machines. Needs the extra `train`."""

try:
    import lightning  # noqa: F401
except ImportError as error:
    raise ImportError(
        'manifoldflow.jobs needs lightning; install it with: pip install "manifoldflow[train]"'
    ) from error

from .end_points import EndPoints, write_ends
from .row_paths import JobPaths
from .rows import Field, PathValues, RowResults, RowSolver
from .run import Job, run_job

__all__ = [
    "EndPoints",
    "Field",
    "Job",
    "JobPaths",
    "PathValues",
    "RowResults",
    "RowSolver",
    "run_job",
    "write_ends",
]
