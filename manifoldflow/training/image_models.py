"""Training models of images: a VAE or a WAE, which have one loss, and a DCGAN, whose two networks take turns."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..models import DCGAN
from .batches import ImageData
from .loop import Outcome, TrainingModule, run_training
from .placement import Placement
from .settings import TrainSettings

__all__ = ["AutoencoderModule", "GANModule", "train_autoencoder", "train_gan"]


class HasLoss(Protocol):
    """A model with a loss of images."""

    def loss(self, x: Tensor) -> Tensor:
        """The loss of a batch."""


Model = TypeVar("Model", bound=nn.Module)


class AutoencoderModule(TrainingModule):
    """Adam on `model.loss(x)`; its draws are a function of (seed, step)."""

    def __init__(self, model: Any, *, settings: TrainSettings, steps: int) -> None:
        super().__init__(settings, steps)
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        with self.seeded(self.global_step):
            try:
                loss = self.model.loss(batch[1])
            except ValueError:
                if self.global_step == 0:
                    raise
                # The images are as before: a distribution refused the NaN that the network gave.
                loss = batch[1].new_full((), float("nan"))
        self.check_finite(loss, "the training loss", self.global_step)
        self._log("train_loss", loss, batch)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        with self.seeded(-1 - batch_idx):
            self._log("validation_loss", self.model.loss(batch[1]), batch)

    def _log(self, name: str, loss: Tensor, batch: tuple[Tensor, Tensor]) -> None:
        several = self.trainer.world_size > 1
        self.log(name, loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=several)

    def configure_optimizers(self) -> dict[str, Any]:
        return self.adam(self.model.parameters())


def train_autoencoder(
    model: Model,
    images: Tensor,
    settings: TrainSettings,
    *,
    folder: Path,
    validation: Tensor | None = None,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    placement: Placement | None = None,
) -> Outcome:
    """Train a model with a `loss` of images in place, and leave it in eval mode on the CPU.

    As with flows, a run that was killed and is resumed gives, on a CPU, bit for bit the weights of the
    uninterrupted one. Over several processes every one draws for its part of a batch, and a WAE compares
    the latents of that part only: the result then depends on their number.

    Args:
        model: A VAE, a WAE or any module with `loss(x)`; as it was initialised, also in a resumption.
        images: Training images `(m, channels, height, width)` in [0, 1], at least one batch.
        settings: Epochs, batch size, rates, seed, how often to write a checkpoint.
        folder: Folder for the checkpoints and the log.
        validation: Images for early stopping and the choice of the weights; without them the last weights stay.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        placement: Devices and machines; one device if None.

    Raises:
        DataError: Images of the wrong shape or range, or fewer than one batch.
        FloatingPointError: The loss became NaN or infinite.
        KeyboardInterrupt: With the step that was reached.
        OSError: A file could not be written; the last checkpoint is intact.
    """
    data = image_data(images, validation, settings)
    module = AutoencoderModule(model.train(), settings=settings, steps=settings.epochs * data.steps_per_epoch)
    monitor = None if validation is None else "validation_loss"
    outcome = run_training(
        module, data, folder=folder, monitor=monitor, resume=resume, progress=progress, title=title, placement=placement
    )
    model.eval()
    return outcome


def image_data(images: Tensor, validation: Tensor | None, settings: TrainSettings) -> ImageData:
    """Images in [0, 1] for the trainer."""
    check_images(images, settings.batch_size)
    if validation is not None:
        check_images(validation, 1, "validation")
    size = settings.batch_size
    return ImageData(images, validation, batch_size=size, eval_batch=size, seed=settings.seed)


def check_images(images: Tensor, least: int, name: str = "images") -> None:
    """Raise unless images are at least `least`, `(m, channels, height, width)`, in [0, 1]."""
    if images.ndim != 4 or not images.is_floating_point() or len(images) < least:
        raise DataError(
            f"{name}: expected at least {least} floating-point images (m, channels, height, width), got "
            f"{images.dtype} of shape {tuple(images.shape)}"
        )
    low, high = torch.aminmax(images)
    if not (low >= 0 and high <= 1):
        raise DataError(f"{name}: expected values in [0, 1], got {low:g} to {high:g}; divide by the highest level")


class GANModule(TrainingModule):
    """One Adam step of the discriminator and one of the generator for every batch."""

    def __init__(self, model: DCGAN, *, settings: TrainSettings, steps: int) -> None:
        super().__init__(settings, steps)
        self.automatic_optimization = False
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        losses = (self.model.discriminator_loss, self.model.generator_loss)
        names = ("discriminator", "generator")
        for optimizer, schedule, loss_of, name in zip(self.optimizers(), self.lr_schedulers(), losses, names):
            with self.seeded(self.global_step):  # it counts the steps of both
                loss = loss_of(batch[1])
            self.check_finite(loss, f"the {name}'s loss", self.global_step // 2)
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, gradient_clip_val=self.settings.clip, gradient_clip_algorithm="norm")
            optimizer.step()
            schedule.step()
            several = self.trainer.world_size > 1
            self.log(
                name, loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=several
            )

    def configure_optimizers(self) -> list[dict[str, Any]]:
        parts = (self.model.discriminator, self.model.generator)
        return [self.adam(part.parameters(), betas=(0.5, 0.999)) for part in parts]


def train_gan(
    model: DCGAN,
    images: Tensor,
    settings: TrainSettings,
    *,
    folder: Path,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    placement: Placement | None = None,
) -> Outcome:
    """Train a DCGAN in place, and leave it in eval mode on the CPU with its last weights.

    As with flows, a run that was killed and is resumed gives, on a CPU, bit for bit the weights of the
    uninterrupted one. Over several processes batch normalisation sees the part of each.

    Args:
        model: The generator and discriminator; as it was initialised, also in a resumption.
        images: Training images `(m, channels, height, width)` in [0, 1], at least one batch.
        settings: Epochs, batch size, rates, seed, how often to write a checkpoint. The paper's learning rate is 2e-4.
        folder: Folder for the checkpoints and the log.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        placement: Devices and machines; one device if None.

    Raises:
        DataError: Images of the wrong shape or range, or fewer than one batch.
        FloatingPointError: A loss became NaN or infinite.
        KeyboardInterrupt: With the step that was reached.
        OSError: A file could not be written; the last checkpoint is intact.
    """
    data = image_data(images, None, settings)
    module = GANModule(model.train(), settings=settings, steps=settings.epochs * data.steps_per_epoch)
    outcome = run_training(
        module,
        data,
        folder=folder,
        monitor=None,
        resume=resume,
        progress=progress,
        title=title,
        placement=placement,
        strategy="ddp_find_unused_parameters_true",  # each loss has the gradients of one of the two
    )
    model.eval()
    return outcome
