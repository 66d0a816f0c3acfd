"""Training a flow by maximum likelihood, and its loss on held-out images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks import describe
from ..data import ImageSet, bits_per_dim, dequantise, hashed_uniform
from ..errors import DataError
from ..flows import Flow, FlowDescription, Glow, ManifoldFlow, build_flow
from .batches import ImageData, eval_loader
from .loop import TrainingModule, run_training
from .placement import Placement
from .points import train_on_points
from .settings import TrainSettings

__all__ = ["EVAL_BATCH", "FlowModule", "FlowTraining", "held_out_bits_per_dim", "train_flow"]

EVAL_BATCH = 500
_VALIDATION_EPOCH = 2**31 - 1
"""The noise of validation and test is that of no training epoch, and always the same."""


class FlowModule(TrainingModule):
    """Maximum likelihood with uniform dequantisation; the loss is in bits per dimension."""

    def __init__(self, flow: ManifoldFlow, *, dim: int, levels: int, settings: TrainSettings, steps: int) -> None:
        super().__init__(settings, steps)
        self.flow, self.dim, self.levels = flow, dim, levels
        self._log_prob: Callable[[Tensor], Tensor] = flow

    def on_fit_start(self) -> None:
        """Compile here: what is compiled cannot be copied, as weight averaging does at set-up."""
        self._log_prob = torch.compile(self.flow) if self.settings.compile else self.flow
        self._recompute(self.settings.recompute)

    def on_fit_end(self) -> None:
        """What was set for training alone."""
        self._recompute(False)

    def _recompute(self, value: bool) -> None:
        for part in self.flow.modules():
            if isinstance(part, Glow):
                part.recompute = value

    def _loss(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        index, images = batch
        noise = hashed_uniform(index, self.dim, seed=self.settings.seed, epoch=epoch)
        x = dequantise(images, self.levels, noise.view(images.shape))
        return bits_per_dim(self._log_prob(x), self.dim, self.levels).mean()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch, self.current_epoch)
        self.check_finite(loss, "the training loss", self.global_step)
        several = self.trainer.world_size > 1
        self.log(
            "train_bpd", loss, prog_bar=True, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=several
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = self._loss(batch, _VALIDATION_EPOCH)
        several = self.trainer.world_size > 1
        self.log("validation_bpd", loss, prog_bar=True, batch_size=len(batch[0]), sync_dist=several)

    def configure_optimizers(self) -> dict[str, Any]:
        return self.adam(self.parameters())


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
        steps: Optimiser steps of the whole run.
    """

    flow: ManifoldFlow
    epochs: int
    best_epoch: int
    validation_bpd: float
    seconds: float
    images_per_second: float
    stopped_by: str
    device: torch.device
    steps: int


@singledispatch
def train_flow(flow: Any, train: Any, validation: Any, settings: TrainSettings, **options: Any) -> Any:
    """Train a flow, of images or of points on a manifold, and keep the weights with the best validation loss.

    A run that was killed at any step and is resumed gives, on a CPU, bit for bit the weights of the
    uninterrupted run: batch order and noise are functions of (seed, epoch, example). Over several
    processes, each takes its part of every batch, so that they train, up to rounding, what one would.

    Args:
        flow: A `FlowDescription`: a new flow of images, by maximum likelihood. Or any `Flow`, which is trained in
            place by its `loss`: minus the log density, or of `FlowMatching` the squared error of the velocities.
        train: An `ImageSet`; or points `(N, *event)`, or a pair of points and their contexts `(N, context_dim)`.
        validation: The same kind, for early stopping and the choice of the weights; of points it may be None, which
            keeps the last weights.
        settings: Epochs, batch size, rates, seed, how often to write a checkpoint.
        folder: Folder for the checkpoints and the log.
        resume: Continue from the last checkpoint in `folder`, if there is one.
        progress: Show Lightning's progress bar, headed by `title`.
        placement: Devices and machines; one device if None. Lightning starts the same program again for
            every further device.
        log_density: Of points: train by reverse Kullback-Leibler divergence from this function of points, which need
            not be normalised, instead of on data; `train` and `validation` are None. The loss is the mean of
            log q - log p over draws of the flow, whose least value is minus the log of the integral.
        draws: With `log_density`, how many draws make an epoch.
        noise: Of points: standard deviation of tangent noise added to them at every step, or a pair of its first and
            last value; a regulariser for few data.
        weight_decay: Of points: decoupled from the gradient (Loshchilov and Hutter, arXiv 1711.05101).

    Returns:
        A `FlowTraining` of images, a `PointTraining` of points.

    Raises:
        DataError: Data of another shape than the flow's, or differing levels; devices that are not there.
        FloatingPointError: The loss became NaN or infinite; names the step and a remedy.
        KeyboardInterrupt: With the step that was reached.
        OffManifoldError: Points off the flow's space.
        OSError: A file could not be written; the last checkpoint is intact.
        TypeError, ValueError: `flow` is neither, or an option does not suit it.
    """
    raise TypeError(f"flow: expected a FlowDescription or a Flow, got {describe(flow)}")


@train_flow.register
def _(
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
    _check_images(description, train, validation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        flow = build_flow(description)
    _initialise(flow, train, settings)
    images = ImageData(
        train.images, validation.images, batch_size=settings.batch_size, eval_batch=EVAL_BATCH, seed=settings.seed
    )
    steps = settings.epochs * images.steps_per_epoch
    module = FlowModule(flow, dim=description.dim, levels=train.levels, settings=settings, steps=steps)
    shown: dict[str, Any] = {"progress": progress, "title": title}
    outcome = run_training(
        module, images, folder=folder, monitor="validation_bpd", resume=resume, placement=placement, **shown
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
        steps=outcome.steps,
    )


train_flow.register(Flow, train_on_points)


def _check_images(description: FlowDescription, train: ImageSet, validation: ImageSet) -> None:
    for name, data in {"train": train, "validation": validation}.items():
        if data.shape != description.shape:
            raise DataError(f"{name}: expected images of shape {description.shape}, got {data.shape}")
    if train.levels != validation.levels:
        raise DataError(f"validation: expected {train.levels} levels as in the training data, got {validation.levels}")


def _initialise(flow: ManifoldFlow, train: ImageSet, settings: TrainSettings) -> None:
    """Data-dependent actnorm from one fixed batch, before anything wraps the model."""
    initialise: Callable[[Tensor], None] | None = getattr(flow.transform, "initialise", None)
    if initialise is None:
        return
    index = torch.arange(min(len(train), max(settings.batch_size, 256)))
    noise = hashed_uniform(index, train.images[0].numel(), seed=settings.seed, epoch=0)
    images = train.images[index]
    initialise(dequantise(images, train.levels, noise.view(images.shape)))


@torch.no_grad()
def held_out_bits_per_dim(flow: ManifoldFlow, data: ImageSet, *, seed: int, draws: int = 1) -> Tensor:
    """Bits per dimension of each image, shape (N,), averaged over `draws` of the dequantisation noise.

    Computed on the flow's device; the result is on the CPU, as the noise, which so is the same for every device.
    """
    like = next(flow.parameters(), torch.empty(0))
    total = torch.zeros(len(data), dtype=like.dtype)
    dim = data.images[0].numel()
    for draw in range(draws):
        for index, images in eval_loader(data.images, EVAL_BATCH):
            noise = hashed_uniform(index, dim, seed=seed, epoch=_VALIDATION_EPOCH - 1 - draw)
            x = dequantise(images, data.levels, noise.view(images.shape)).to(like)
            total[index] += bits_per_dim(flow.log_prob(x), dim, data.levels).cpu()
    return total / draws
