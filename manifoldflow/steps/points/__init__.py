"""The job for points of manifolds as steps on folders: train, sample, density, interpolate, evaluate, report."""

from .choice import PointsChoice
from .draws import density_step, sample_points_step
from .judging import evaluate_points_step, read_points_evaluation
from .records import PointsEvaluation, PointsRecord
from .routes import interpolate_points_step
from .runs import PointsRun, load_points_run, resume_points_training, train_points_step
from .showing import report_points_step

__all__ = [
    "PointsChoice",
    "PointsEvaluation",
    "PointsRecord",
    "PointsRun",
    "density_step",
    "evaluate_points_step",
    "interpolate_points_step",
    "load_points_run",
    "read_points_evaluation",
    "report_points_step",
    "resume_points_training",
    "sample_points_step",
    "train_points_step",
]
