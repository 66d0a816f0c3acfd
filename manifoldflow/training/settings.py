"""What a training run is told."""

from dataclasses import asdict, dataclass
from typing import Any

from ..checks import check_choice, check_integer, check_number

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
        recompute: Train a Glow in memory that does not grow with its steps, see there; not together with `compile`.

    Raises:
        ValueError: A setting is out of range or of the wrong kind.
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
    recompute: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name)))  # of numpy, too
        for name in ("learning_rate", "clip"):
            object.__setattr__(self, name, check_number(name, getattr(self, name), positive=True))
        check_integer("warmup", self.warmup, 0)
        check_integer("seed", self.seed, 0, 2**63 - 1)
        if self.checkpoint_every is not None:
            check_integer("checkpoint_every", self.checkpoint_every)
        if self.max_seconds is not None:
            check_number("max_seconds", self.max_seconds, positive=True)
        if self.average is not None and check_number("average", self.average, 0, 1) in (0, 1):
            raise ValueError(f"average: expected a decay between 0 and 1, such as 0.999, or None, got {self.average}")
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("log", self.log, LOGS)
        for name in ("compile", "recompute"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: expected True or False, got {getattr(self, name)!r:.100}")
        if self.compile and self.recompute:
            raise ValueError("recompute: expected False with compile=True, since torch.compile keeps the activations")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)
