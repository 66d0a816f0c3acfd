"""The papers' experiments, one package each: grids, tables, figures, findings. Needs the extra `train`."""

from .pinf.grid import PRIORS, ExperimentSettings, run_experiment
from .realism.measures import PathOptions
from .realism.study import RealismSettings, run_realism

__all__ = ["PRIORS", "ExperimentSettings", "PathOptions", "RealismSettings", "run_experiment", "run_realism"]
