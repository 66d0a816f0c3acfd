"""What every learned transform here is: value and log-volume in one pass, as a torch Transform."""

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext

import torch
from pyro.distributions.torch_transform import TransformModule
from torch import Tensor
from torch.distributions.transforms import Transform

__all__ = ["FlowTransform", "call_and_ladj", "full_precision"]


class FlowTransform(TransformModule):
    """A learned bijection x -> z that computes its value and log-volume together.

    Subclasses write `call_and_ladj` and `_inverse`; torch's separate methods follow from them.
    """

    bijective = True

    def __init__(self) -> None:
        super().__init__(cache_size=0)

    @abstractmethod
    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `x` and log |det dz/dx|, the latter of the batch shape."""

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det dz/dx| at `x`, of the batch shape; computed anew from `x`."""
        return self.call_and_ladj(x)[1]


def call_and_ladj(transform: Transform, x: Tensor) -> tuple[Tensor, Tensor]:
    """Value and log-volume of any torch Transform, in one pass where it offers that."""
    if hasattr(transform, "call_and_ladj"):
        return transform.call_and_ladj(x)
    y = transform(x)
    return y, transform.log_abs_det_jacobian(x, y)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """No autocast inside: what carries x, z or a log-determinant keeps their dtype; the networks may be rounded."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()
