"""The main job as steps on folders, each reading what the former wrote. Needs the extra `train`."""

from .demo import DemoSize, run_demo
from .ends import ends_step
from .evaluate import evaluate_step
from .experiment import PRIORS, ExperimentSettings, run_experiment
from .interpolate import DEMO_METHODS, interpolate_step
from .report import report_step
from .sample import sample_step
from .solve import solve_step
from .train import DataChoice, TrainedRun, load_run, resume_training, train_step

__all__ = [
    "DEMO_METHODS",
    "PRIORS",
    "DataChoice",
    "DemoSize",
    "ExperimentSettings",
    "TrainedRun",
    "ends_step",
    "evaluate_step",
    "interpolate_step",
    "load_run",
    "report_step",
    "resume_training",
    "run_demo",
    "run_experiment",
    "sample_step",
    "solve_step",
    "train_step",
]
