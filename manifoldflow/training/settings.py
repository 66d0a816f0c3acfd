"""What a training run is told."""

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LOGS", "PRECISIONS", "TrainSettings"]

PRECISIONS = ("32-true", "64-true", "bf16-mixed")
LOGS = ("csv", "tensorboard")


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run; every one of them is recorded beside its result.

    Args:
        epochs: At most so many passes over the training data.
        batch_size: Images a step, over all processes together: the result does not depend on their number.
        learning_rate: Peak of the schedule: linear warm-up, then a cosine to zero.
        warmup: Steps of the warm-up.
        clip: Gradient norm above which gradients are scaled down.
        patience: Stop after so many epochs without a better validation loss.
        max_seconds: Stop after so many seconds, whatever was reached; None for no limit.
        checkpoint_every: Steps between checkpoints from which the run can be resumed; None for none.
        seed: Decides initial weights, batch order and noise.
        average: Decay of an exponential moving average of the weights, such as 0.999, which is what validation
            sees and the result has; None for the weights themselves.
        precision: "32-true", "64-true", or "bf16-mixed": networks in bfloat16, log-determinants in float32.
        compile: Compile the model with torch.compile: pays on a GPU, and costs on a CPU.
        log: "csv" or "tensorboard".
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
    average: float | None = None
    precision: str = "32-true"
    compile: bool = False
    log: str = "csv"

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
        if self.average is not None and not 0 < self.average < 1:
            raise ValueError(f"average: expected a decay between 0 and 1, such as 0.999, or None, got {self.average}")
        for name, allowed in {"precision": PRECISIONS, "log": LOGS}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)
