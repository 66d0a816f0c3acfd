"""One function that trains a flow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..data import ImageSet, dequantise, hashed_uniform
from ..errors import DataError
from ..flows import FlowDescription, ManifoldFlow, build_flow
from .batches import ImageData
from .checkpoint import CHECKPOINTS
from .flow_module import EVAL_BATCH, FlowModule
from .loop import run_training
from .placement import Placement
from .settings import TrainSettings

__all__ = ["CHECKPOINTS", "FlowTraining", "train_flow"]


@dataclass(frozen=True)
class FlowTraining:
    """What a training run gave.

    Args:
        flow: The flow with the best validation loss, in eval mode.
        epochs: Epochs run.
        best_epoch: The epoch whose weights these are, from 0.
        validation_bpd: Its bits per dimension on the validation images.
        seconds: Wall time of the training loop; since resumption, if it was resumed.
        images_per_second: Training images over that time, validation included.
        stopped_by: "epochs", "early stopping" or "time limit".
        device: Where this process trained; the flow is on the CPU.
    """

    flow: ManifoldFlow
    epochs: int
    best_epoch: int
    validation_bpd: float
    seconds: float
    images_per_second: float
    stopped_by: str
    device: torch.device


def train_flow(
    description: FlowDescription,
    train: ImageSet,
    validation: ImageSet,
    settings: TrainSettings,
    *,
    folder: Path,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    placement: Placement | None = None,
) -> FlowTraining:
    """Train a flow by maximum likelihood, and keep the weights with the best validation loss.

    A run that was killed at any step and is resumed gives, on a CPU, bit for bit the weights of the
    uninterrupted run: batch order and noise are functions of (seed, epoch, example). Over several
    processes, each takes its part of every batch, so that they train, up to rounding, what one would.

    Args:
        description: The architecture and base.
        train: Training images.
        validation: Images for early stopping and the choice of the weights.
        settings: Epochs, batch size, rates, seed, how often to write a checkpoint.
        folder: Folder for the checkpoints and the log.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        placement: Devices and machines; one device if None. Lightning starts the same program again for
            every further device.

    Raises:
        DataError: Images of another shape than the description's, or differing levels; devices that are not there.
        FloatingPointError: The loss became NaN or infinite; names the step and a remedy.
        KeyboardInterrupt: With the step that was reached.
        OSError: A file could not be written; the last checkpoint is intact.
    """
    for name, data in {"train": train, "validation": validation}.items():
        if data.shape != description.shape:
            raise DataError(f"{name}: expected images of shape {description.shape}, got {data.shape}")
    if train.levels != validation.levels:
        raise DataError(f"validation: expected {train.levels} levels as in the training data, got {validation.levels}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        flow = build_flow(description)
    _initialise(flow, train, settings)
    images = ImageData(
        train.images, validation.images, batch_size=settings.batch_size, eval_batch=EVAL_BATCH, seed=settings.seed
    )
    steps = settings.epochs * images.steps_per_epoch
    module = FlowModule(flow, dim=description.dim, levels=train.levels, settings=settings, steps=steps)
    outcome = run_training(
        module,
        images,
        folder=folder,
        monitor="validation_bpd",
        resume=resume,
        progress=progress,
        title=title,
        placement=placement,
    )
    return FlowTraining(
        flow=flow.eval(),
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        validation_bpd=outcome.best,
        seconds=outcome.seconds,
        images_per_second=outcome.images_per_second,
        stopped_by=outcome.stopped_by,
        device=outcome.device,
    )


def _initialise(flow: ManifoldFlow, train: ImageSet, settings: TrainSettings) -> None:
    """Data-dependent actnorm from one fixed batch, before anything wraps the model."""
    initialise: Callable[[Tensor], None] | None = getattr(flow.transform, "initialise", None)
    if initialise is None:
        return
    index = torch.arange(min(len(train), max(settings.batch_size, 256)))
    noise = hashed_uniform(index, train.images[0].numel(), seed=settings.seed, epoch=0)
    images = train.images[index]
    initialise(dequantise(images, train.levels, noise.view(images.shape)))
