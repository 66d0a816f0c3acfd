"""The main job as steps on folders, each reading what the former wrote. Needs the extra `train`."""

from .demo import DemoSize, run_demo
from .evaluate import evaluate_step
from .globe import GlobePaths, Trip, draw_globe, paths_on_the_globe
from .interpolate import DEMO_METHODS, interpolate_step
from .reporting import report_step
from .solve import ends_step, solve_step
from .stored import InterpolationRecord
from .train import DataChoice, TrainedRun, load_run, resume_training, sample_step, train_step

__all__ = [
    "DEMO_METHODS",
    "DataChoice",
    "DemoSize",
    "GlobePaths",
    "InterpolationRecord",
    "TrainedRun",
    "Trip",
    "draw_globe",
    "ends_step",
    "evaluate_step",
    "interpolate_step",
    "load_run",
    "paths_on_the_globe",
    "report_step",
    "resume_training",
    "run_demo",
    "sample_step",
    "solve_step",
    "train_step",
]
