"""What the Lightning modules share: schedule, seeded draws, and the end of a run whose loss is not finite."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from .settings import TrainSettings

__all__ = ["TrainingModule"]

_REMEDY = "try a smaller learning_rate or a longer warmup"


class TrainingModule(L.LightningModule):
    """Base of the modules.

    Args:
        settings: Rates, precision and seed.
        steps: Of the whole run, for the schedule.
    """

    def __init__(self, settings: TrainSettings, steps: int) -> None:
        super().__init__()
        self.settings, self.steps = settings, steps

    def check_finite(self, loss: Tensor, what: str, step: int) -> None:
        """Stop all processes in the same step if the loss of one is not finite.

        Raises:
            FloatingPointError: Names the loss, the step and a remedy.
        """
        value = loss.detach()
        if self.trainer.world_size > 1:
            value = self.all_gather(value).mean()
        if not torch.isfinite(value):
            raise FloatingPointError(f"{what} became {float(value)} at step {step}; {_REMEDY}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the former checkpoint where a finite loss had a gradient that was not.

        Raises:
            FloatingPointError: Names the weights, the step and a remedy.
        """
        step = self.global_step // len(self.trainer.optimizers)  # each optimiser counts
        for name, weights in checkpoint["state_dict"].items():
            if not torch.isfinite(weights).all():
                raise FloatingPointError(f"{name} became NaN or infinite in step {step}; {_REMEDY}")

    def adam(self, parameters: Iterable[nn.Parameter], **options: Any) -> dict[str, Any]:
        """Adam and its schedule, as `configure_optimizers` returns them."""
        fused = not self.settings.precision.endswith("-mixed")  # with which Lightning does not clip gradients
        optimizer = torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=fused, **options)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))

    @contextmanager
    def seeded(self, step: int) -> Iterator[None]:
        """Let torch's draws inside be a function of (seed, step, process): checkpoints hold no generator state."""
        key = repr((self.settings.seed, step, self.global_rank)).encode()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int.from_bytes(hashlib.blake2b(key, digest_size=7).digest()))
            yield
