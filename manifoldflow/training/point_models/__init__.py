"""Models of points on manifolds that are fitted, saved and loaded alike: kernel densities, mixtures, flows."""

from .densities import KernelModel, MixtureModel
from .flows import FlowModel, MatchingModel
from .interface import POINT_MODELS, Fitted, ModelChoice, PointModel
from .saving import load_point_model, save_point_model

__all__ = [
    "POINT_MODELS",
    "Fitted",
    "FlowModel",
    "KernelModel",
    "MatchingModel",
    "MixtureModel",
    "ModelChoice",
    "PointModel",
    "load_point_model",
    "save_point_model",
]
