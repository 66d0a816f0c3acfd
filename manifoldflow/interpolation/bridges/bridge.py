"""What a bridge is: a distribution over paths."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..paths.path import Polyline
from ..paths.points import check_times, check_vector_of_times, in_one_line

__all__ = ["Bridge"]


class Bridge(ABC):
    """A random path, one for every entry of a batch; a sample of it is a path.

    Subclasses set `batch_shape`, `event_shape` and `like` (a tensor whose dtype and device the samples have)
    and give `_sample`.
    """

    batch_shape: torch.Size
    event_shape: torch.Size
    like: Tensor

    def __repr__(self) -> str:
        return in_one_line(self, batch=tuple(self.batch_shape), event=tuple(self.event_shape), **self._settings())

    def _settings(self) -> dict[str, Any]:
        """What else the one-line repr says: the attributes named here that it has."""
        return {name: getattr(self, name) for name in ("space", "kernel", "horizon", "spread") if hasattr(self, name)}

    @abstractmethod
    def _sample(
        self, t: Tensor, sample_shape: torch.Size, generator: torch.Generator | None, chunk: int | None
    ) -> Tensor:
        """Samples at checked, strictly increasing times."""

    def rsample(
        self,
        t: Tensor,
        sample_shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """Samples at strictly increasing times `t` `(m,)`, as `(*sample_shape, *batch, m, *event)`.

        Args:
            t: Times in [0, 1].
            sample_shape: Shape of independent copies.
            generator: Source of randomness; None for torch's global one.
            chunk: How many paths are drawn at a time; bounds the memory used beside the output.

        Gradients reach the points that the bridge is tied to.
        """
        times = check_vector_of_times(check_times(t, self.like, increasing=True))
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 0 for k in sample_shape):
            raise ValueError(f"sample_shape: expected nonnegative integers, got {tuple(sample_shape)}")
        if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
            raise ValueError(f"chunk: expected an integer of at least 1 or None, got {chunk!r}")
        return self._sample(times, torch.Size(sample_shape), generator, chunk)

    @torch.no_grad()
    def sample(
        self,
        t: Tensor,
        sample_shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """As `rsample`, without derivatives."""
        return self.rsample(t, sample_shape, generator=generator, chunk=chunk)

    def sample_path(
        self, t: Tensor, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Polyline:
        """A sample as a path: straight between times `t`, which must begin with 0 and end with 1."""
        return Polyline(self.sample(t, sample_shape, generator=generator), t, event_dim=len(self.event_shape))
