"""What a training run is told."""

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TrainSettings"]


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run; every one of them is recorded beside its result.

    Args:
        epochs: At most so many passes over the training data.
        batch_size: Images a step.
        learning_rate: Peak of the schedule: linear warm-up, then a cosine to zero.
        warmup: Steps of the warm-up.
        clip: Gradient norm above which gradients are scaled down.
        patience: Stop after so many epochs without a better validation loss.
        max_seconds: Stop after so many seconds, whatever was reached; None for no limit.
        checkpoint_every: Steps between checkpoints from which the run can be resumed; None for none.
        seed: Decides initial weights, batch order and noise.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: int = 50
    clip: float = 50.0
    patience: int = 8
    max_seconds: float | None = None
    checkpoint_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "clip", "patience"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a positive finite number, got {getattr(self, name)}")
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ValueError(f"checkpoint_every: expected a number of steps or None, got {self.checkpoint_every}")
        if self.warmup < 0:
            raise ValueError(f"warmup: expected a number of steps, 0 or more, got {self.warmup}")
        if self.max_seconds is not None and not 0 < self.max_seconds < math.inf:
            raise ValueError(f"max_seconds: expected a positive finite number or None, got {self.max_seconds}")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)
