"""A bridge that stays at typical norm without forgetting its end points: noise around the great circle between them."""

from typing import Any

import torch
from torch import Tensor

from ..paths.great_circle import Directions, Slerp
from .bridge import Bridge
from .gaussian_process import GaussianProcessBridge
from .kernels import Kernel, _is_real

__all__ = ["TypicalBridge"]


class TypicalBridge(Bridge):
    r"""Random paths around the great circle of two latents, at the norm that slerp gives them.

    The mean path m(t) is the great circle. A Gaussian-process bridge from 0 to 0 gives a normal vector
    W(t) at every time; parallel transport along the circle leaves the directions normal to its plane as they are, so W
    without its part in that plane is noise transported along the path, and

    .. math:: x(t) = \big((1-t)|a| + t|b|\big) \exp_{m(t)}\!\big(\sigma W_\perp(t) / \sqrt{n}\big).

    Whatever the horizon, its norm is that of the end points, where the Gaussian-process bridge either cuts through the
    ball (short horizon) or forgets them (long one): the cosine to the great circle is about cos(sigma sqrt(v(t))), v
    the bridge's variance.

    Args:
        start: Latents a `(*batch, *event)`.
        end: Latents b, same shape.
        spread: :math:`\sigma`, the angle of the noise in radians at bridge variance 1; at most pi/2.
        kernel: Kernel of the bridge; Ornstein-Uhlenbeck with rate 1 by default.
        horizon: Length of the bridge's time axis.
        event_dim: Number of dimensions of one point, which must have at least 3 coordinates.

    Raises:
        CutLocusError: Latents in opposite directions.
    """

    def __init__(
        self,
        start: Any,
        end: Any,
        *,
        spread: float = 0.5,
        kernel: Kernel | None = None,
        horizon: float = 1.0,
        event_dim: int = 1,
    ) -> None:
        if not _is_real(spread) or not 0 < spread <= torch.pi / 2:
            raise ValueError(f"spread: expected an angle in (0, pi/2] radians, got {spread!r}")
        self.centre = Slerp(start, end, event_dim=event_dim)
        self.batch_shape, self.event_shape = self.centre.batch_shape, self.centre.event_shape
        self.n = self.event_shape.numel()
        if self.n < 3:
            raise ValueError(
                f"start: expected at least 3 coordinates, got {self.n}; in a plane nothing is normal to the path"
            )
        self.like = self.centre.start
        self.spread = float(spread)
        still = torch.zeros(*self.batch_shape, self.n, dtype=self.like.dtype, device=self.like.device)
        self.noise = GaussianProcessBridge(still, still, kernel=kernel, horizon=horizon)
        self._frame = _plane(self.centre.circle.pair)

    def mean(self, t: Tensor) -> Tensor:
        """The great circle at times `t`, `(*batch, m, *event)`: the Frechet mean of every point's direction."""
        return self.centre(t)

    def _sample(
        self, t: Tensor, sample_shape: torch.Size, generator: torch.Generator | None, chunk: int | None
    ) -> Tensor:
        noise = self.noise.sample(t, sample_shape, generator=generator, chunk=chunk)
        for axis in self._frame:
            axis = axis[..., None, :]
            noise = noise - (noise * axis).sum(-1, keepdim=True) * axis
        noise = noise * (self.spread / self.n**0.5)
        angle = torch.linalg.vector_norm(noise, dim=-1, keepdim=True)
        centre = self.centre(t).flatten(-len(self.event_shape)) if len(self.event_shape) > 1 else self.centre(t)
        norm = torch.linalg.vector_norm(centre, dim=-1, keepdim=True)
        # sin(x)/x, with torch's convention of sinc.
        points = angle.cos() * centre + norm * torch.sinc(angle / torch.pi) * noise
        return points.reshape(*points.shape[:-1], *self.event_shape)


def _plane(pair: Directions) -> tuple[Tensor, Tensor]:
    """Two orthonormal directions of the great circle's plane; of (nearly) equal ones, the first and zero."""
    across = pair.last - pair.first
    # Twice: the first pass leaves a part of eps along the direction, which counts where `across` is small itself.
    for _ in range(2):
        across = across - (across * pair.first).sum(-1, keepdim=True) * pair.first
    size = torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    some = size > 4 * torch.finfo(size.dtype).eps  # below, the difference is rounding: there is no plane
    across = torch.where(some, across / torch.where(some, size, 1), 0)
    return pair.first, across - (across * pair.first).sum(-1, keepdim=True) * pair.first
