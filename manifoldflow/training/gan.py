"""Training a generative adversarial network: the discriminator and the generator take turns."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ..models import DCGAN
from .autoencoder import image_data
from .loop import Outcome, run_training
from .module import TrainingModule
from .placement import Placement
from .settings import TrainSettings

__all__ = ["GANModule", "train_gan"]


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
