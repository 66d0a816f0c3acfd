"""A small classifier whose penultimate features serve as the space for Frechet and kernel distances."""

from pathlib import Path

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from ..data import ImageSet
from .placement import interruptible, quiet_lightning

__all__ = ["Classifier", "train_classifier"]

FEATURES = 32
_IMAGES_A_CHUNK = 500


class Classifier(nn.Module):
    """Images (N, c, h, w) in [0, 1] to `num_features` = 32 features and to class scores.

    Few features, so that the covariance of some hundred images has full rank.
    """

    num_features = FEATURES

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, FEATURES),
            nn.Tanh(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 32)."""
        return self.body(x)

    def scores(self, x: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the classes (N, classes)."""
        return self.head(self.body(x))


class _Module(L.LightningModule):
    def __init__(self, classifier: Classifier, levels: int) -> None:
        super().__init__()
        self.classifier, self.levels = classifier, levels

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x = batch[0].float() / (self.levels - 1)  # not of all images at once, which would take four times their memory
        return cross_entropy(self.classifier.scores(x), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=2e-3)


def train_classifier(
    train: ImageSet, test: ImageSet, *, seed: int, steps: int = 600, batch_size: int = 128, folder: Path
) -> tuple[Classifier, float]:
    """A classifier trained on `train`, in eval mode, and its accuracy on `test`.

    Raises:
        DataError: No labels, or one class only.
    """
    classes, labels = train.require_classes("the feature classifier").unique(return_inverse=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(train.shape[0], len(classes))
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(
            TensorDataset(train.images, labels),
            batch_size=min(batch_size, len(train)),
            shuffle=True,
            generator=generator,
        )
        with quiet_lightning():
            trainer = L.Trainer(
                max_steps=steps,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                accelerator="cpu",
                default_root_dir=folder,
            )
            with interruptible(trainer, "training the feature classifier"):
                trainer.fit(_Module(classifier, train.levels), loader)
    classifier.eval()
    with torch.no_grad():
        parts = (part.float() / (test.levels - 1) for part in test.images.split(_IMAGES_A_CHUNK))
        scores = torch.cat([classifier.scores(part) for part in parts])
    accuracy = (classes[scores.argmax(1)] == test.require_classes("the feature classifier")).double().mean()
    return classifier, float(accuracy)
