"""Training with Lightning, and models on disk. Needs the extra `train`."""

try:
    import lightning  # noqa: F401
    import safetensors  # noqa: F401
except ImportError as error:
    raise ImportError(
        'manifoldflow.training needs lightning and safetensors; install them with: pip install "manifoldflow[train]"'
    ) from error

from .autoencoder import train_autoencoder
from .classifier import Classifier, train_classifier
from .export import SavedFlow, load_flow, save_flow
from .fit import FlowTraining, train_flow
from .gan import train_gan
from .loop import Outcome
from .models import ModelDescription, SavedModel, build_model, load_model, save_model
from .placement import Placement
from .settings import TrainSettings

__all__ = [
    "Classifier",
    "FlowTraining",
    "ModelDescription",
    "Outcome",
    "Placement",
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
