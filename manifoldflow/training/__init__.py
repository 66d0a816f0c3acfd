"""Training with Lightning, and models on disk. Needs the extra `train`."""

try:
    import lightning  # noqa: F401
    import safetensors  # noqa: F401
except ImportError as error:
    raise ImportError(
        'manifoldflow.training needs lightning and safetensors; install them with: pip install "manifoldflow[train]"'
    ) from error

from .classifier import Classifier, train_classifier
from .image_models import train_autoencoder, train_gan
from .likelihood import FlowTraining, train_flow
from .loop import Outcome
from .placement import Placement
from .points import PointTraining
from .saved import ModelDescription, SavedFlow, SavedModel, build_model, load_flow, load_model, save_flow, save_model
from .settings import TrainSettings

__all__ = [
    "Classifier",
    "FlowTraining",
    "ModelDescription",
    "Outcome",
    "Placement",
    "PointTraining",
    "SavedFlow",
    "SavedModel",
    "TrainSettings",
    "build_model",
    "load_flow",
    "load_model",
    "save_flow",
    "save_model",
    "train_autoencoder",
    "train_classifier",
    "train_flow",
    "train_gan",
]
