"""Training a flow of points of a manifold: by its own loss on data, or by reverse KL from a log density."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks import check_integer, check_number, check_tensors, describe
from ..errors import DataError
from ..flows import Flow
from ..manifolds import broadcasting, check_points
from .batches import ImageData
from .loop import Outcome, TrainingModule, run_training
from .placement import Placement
from .settings import TrainSettings

__all__ = ["PointFlowModule", "PointTraining", "Points", "train_on_points"]

Points = Tensor | tuple[Tensor, Tensor]
"""Points `(N, *event)`, or these and the contexts `(N, context_dim)` that they belong to."""
Loss = Callable[[Tensor, Tensor | None], Tensor]
EVAL_BATCH = 4096
_MONITOR = "validation_loss"


@dataclass(frozen=True)
class PointTraining(Outcome):
    """What the training of a flow of points gave; `best` is its validation loss in nats.

    Args:
        flow: The flow that was given, with the best weights, in eval mode on the CPU.
    """

    flow: Flow

    @property
    def validation_loss(self) -> float:
        """The mean loss on the validation points: minus the log density, or of flow matching the squared error."""
        return self.best


class PointFlowModule(TrainingModule):
    """Batches `(index, rows)`, a row being a point and its context, to the loss of a flow."""

    def __init__(
        self, flow: Flow, loss: Loss, settings: TrainSettings, steps: int, noise: tuple[float, float], decay: float
    ) -> None:
        super().__init__(settings, steps)
        self.flow, self.noise, self.decay = flow, noise, decay
        self._loss, self._compiled = loss, loss

    def on_fit_start(self) -> None:
        """Compile here: what is compiled cannot be copied, as weight averaging does at set-up."""
        self._compiled = torch.compile(self._loss) if self.settings.compile else self._loss

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        rows, step = batch[1], self.global_step
        with self.seeded(step):
            loss = self._compiled(*self._split(rows, self._width(step)))
        self.check_finite(loss, "the training loss", step)
        self._show("train_loss", loss, rows, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        with self.seeded(-1 - batch_idx):  # the same draws at every epoch
            loss = self._loss(*self._split(batch[1], 0.0))
        self._show(_MONITOR, loss, batch[1])

    def _show(self, name: str, loss: Tensor, rows: Tensor, **when: bool) -> None:
        several = self.trainer.world_size > 1
        self.log(name, loss, prog_bar=True, batch_size=len(rows), sync_dist=several, **when)

    def _width(self, step: int) -> float:
        """The standard deviation of the noise, which goes from its first to its last value by a constant factor."""
        first, last = self.noise
        return first if first == last else first * (last / first) ** min(1.0, step / self.steps)

    def _split(self, rows: Tensor, width: float) -> tuple[Tensor, Tensor | None]:
        """Points, moved by noise, and contexts."""
        shape = self.flow.event_shape
        points = rows[:, : shape.numel()].unflatten(-1, shape)
        context = rows[:, shape.numel() :] if self.flow.context_dim else None
        if width == 0:
            return points, context
        space = self.flow.space
        if space is None:
            return points + width * torch.randn_like(points), context
        tangent = space.to_tangent(width * torch.randn_like(points), points)
        return broadcasting(space.metric).exp(tangent, points), context

    def configure_optimizers(self) -> dict[str, Any]:
        return self.adam(self.parameters(), self.decay)


def train_on_points(
    flow: Flow,
    train: Points | None,
    validation: Points | None,
    settings: TrainSettings,
    *,
    folder: Path,
    log_density: Callable[[Tensor], Tensor] | None = None,
    draws: int = 20_000,
    noise: float | tuple[float, float] = 0.0,
    weight_decay: float = 0.0,
    resume: bool = False,
    progress: bool = True,
    title: str = "",
    placement: Placement | None = None,
) -> PointTraining:
    """`train_flow` of a `Flow`; see there."""
    first, last = (noise, noise) if isinstance(noise, int | float) else noise
    widths = check_number("noise", first, 0), check_number("noise", last, 0)
    if widths[0] > 0 and widths[1] == 0:
        raise ValueError(f"noise: expected a last value above 0, to be reached by a constant factor, got {noise}")
    decay = check_number("weight_decay", weight_decay, 0)
    if log_density is None:
        rows, held_out = _rows(flow, "train", train), None
        if validation is not None:
            held_out = _rows(flow, "validation", validation)
        loss: Loss = flow.loss
    else:
        rows, held_out, loss = _blanks(flow, log_density, train, validation, draws)
    data = ImageData(rows, held_out, batch_size=settings.batch_size, eval_batch=EVAL_BATCH, seed=settings.seed)
    module = PointFlowModule(flow.train(), loss, settings, settings.epochs * data.steps_per_epoch, widths, decay)
    outcome = run_training(
        module,
        data,
        folder=Path(folder),
        monitor=None if held_out is None else _MONITOR,
        resume=resume,
        progress=progress,
        title=title,
        placement=placement,
    )
    return PointTraining(**vars(outcome), flow=flow.eval())


def _rows(flow: Flow, name: str, given: Any) -> Tensor:
    """Points, flat, and behind them their contexts."""
    points, context = given if isinstance(given, tuple | list) else (given, None)
    check_tensors({name: points}, tuple(flow.event_shape))
    if points.ndim != 1 + len(flow.event_shape) or not len(points):
        raise DataError(f"{name}: expected points of shape (N, {', '.join(map(str, flow.event_shape))}), got "
                        f"{tuple(points.shape)}")  # fmt: skip
    like = next((p for p in flow.parameters() if p.is_floating_point()), points)
    if points.dtype != like.dtype:
        raise ValueError(
            f"{name}: expected {like.dtype} as the flow's weights, got {points.dtype}; convert with .to({like.dtype})"
        )
    space = flow.space
    if space is not None:
        check_points(space, **{name: points})
    flow.check(points[:1], context if context is None else context[:1])
    rows = points.flatten(1)
    if context is None:
        return rows
    if context.shape != (len(points), flow.context_dim):
        raise ValueError(f"{name}: expected a context for each of {len(points)} points, got {describe(context)}")
    return torch.cat([rows, context.to(rows)], 1)


def _blanks(
    flow: Flow, log_density: Callable[[Tensor], Tensor], train: Any, validation: Any, draws: int
) -> tuple[Tensor, Tensor, Loss]:
    """Rows that stand for draws of the flow itself, and the loss: the mean of log q - log p over as many draws."""
    if not callable(log_density):
        raise TypeError(f"log_density: expected a function of points, got {describe(log_density)}")
    if train is not None or validation is not None:
        raise ValueError("train: expected None together with log_density, which is trained on draws of the flow")
    if flow.context_dim:
        raise ValueError(f"flow: expected one without context for log_density, got context_dim={flow.context_dim}")
    count = check_integer("draws", draws)
    like = next(flow.parameters())
    width = flow.event_shape.numel()

    def loss(points: Tensor, context: Tensor | None) -> Tensor:
        model = flow.distribution()
        x = model.rsample(points.shape[:1])
        target = log_density(x)
        if target.shape != x.shape[:1]:
            raise ValueError(f"log_density: expected shape {tuple(x.shape[:1])}, got {tuple(target.shape)}")
        return (flow.log_prob(x) - target).mean()

    return like.new_zeros((count, width)), like.new_zeros((min(count, EVAL_BATCH), width)), loss
