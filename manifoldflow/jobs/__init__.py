"""Long jobs over a file of end points, spread by Lightning over devices and machines. Needs the extra `train`."""

try:
    import lightning  # noqa: F401
except ImportError as error:
    raise ImportError(
        'manifoldflow.jobs needs lightning; install it with: pip install "manifoldflow[train]"'
    ) from error

from .ends import EndPoints, write_ends
from .paths import JobPaths
from .rows import Field, RowResults, RowSolver
from .run import Job, run_job
from .values import PathValues

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
