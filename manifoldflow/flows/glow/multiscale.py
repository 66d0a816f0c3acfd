"""Glow: a multi-scale flow of images, as one torch Transform from images to vectors."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import conv2d

from ...checks import check_integer, check_tensors, describe
from ...manifolds import is_eager
from ..flow import FlowTransform, full_precision
from .layers import AffineCoupling, ChannelMixing, conditioner, scale_and_shift, squeeze, unsqueeze
from .recompute import run_steps, steps_recomputed

__all__ = ["Glow"]


class Level(nn.Module):
    """K steps of flow at one resolution: actnorm, invertible 1x1 convolution, affine coupling."""

    def __init__(self, channels: int, steps: int, hidden: int) -> None:
        super().__init__()
        self.mixing = ChannelMixing(channels, steps)
        self.couplings = nn.ModuleList(AffineCoupling(channels, hidden) for _ in range(steps))

    def forward(self, x: Tensor, recompute: bool = False) -> tuple[Tensor, Tensor]:
        """The image of `x` (b, c, h, w) and its log-determinant (b,)."""
        ladj = self.mixing.log_determinant(x.shape[-1] * x.shape[-2])
        with full_precision(x):
            maps = self.mixing.maps()
        if recompute and is_eager() and torch.is_grad_enabled():
            with full_precision(x), torch.no_grad():
                inverse_maps = self.mixing.inverse_maps()
            couplings = [cast(AffineCoupling, coupling) for coupling in self.couplings]
            x, volume = steps_recomputed(x, couplings, maps, inverse_maps)
            return x, ladj + volume
        return run_steps(x, ladj, self.couplings, maps)

    def initialise(self, x: Tensor) -> None:
        """Set every actnorm from the batch `x` (b, c, h, w), in the order of the steps."""
        for step, coupling in enumerate(self.couplings):
            self.mixing.standardise(step, x)
            x = coupling(conv2d(x, *self.mixing.maps()[step]))[0]

    def inverse(self, y: Tensor) -> Tensor:
        """The point whose image is `y`."""
        with full_precision(y):
            maps = self.mixing.inverse_maps()
        for (kernel, bias), coupling in zip(reversed(maps), reversed(self.couplings)):
            y = cast(AffineCoupling, coupling).inverse(y)
            with full_precision(y):
                y = conv2d(y, kernel, bias)
        return y


class FactorOut(nn.Module):
    """Split half of the channels off, standardised by what the kept half predicts of them.

    This is Glow's learned Gaussian prior of a level written as a transform, so that it serves any
    base distribution.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.split = (channels - channels // 2, channels // 2)
        self.net = conditioner(self.split[0], 2 * self.split[1], hidden)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The kept half, the standardised other half, and the log-determinant (b,)."""
        kept, out = x.split(self.split, dim=1)
        log_scale, shift = scale_and_shift(self.net, kept)
        return kept, torch.addcmul(shift, out, log_scale.exp()), log_scale.sum((1, 2, 3))

    def inverse(self, kept: Tensor, out: Tensor) -> Tensor:
        log_scale, shift = scale_and_shift(self.net, kept)
        return torch.cat([kept, (out - shift) * (-log_scale).exp()], dim=1)


class Glow(FlowTransform):
    """Images (*batch, c, h, w) in [0, 1] to vectors (*batch, c h w), and back.

    Each of the L levels squeezes, applies K steps of flow (actnorm, invertible 1x1 convolution,
    affine coupling) and factors half of the channels out.

    Args:
        shape: (c, h, w) of an image; h and w divisible by 2^levels.
        levels: L.
        steps: K, steps of flow a level.
        hidden: Channels of the couplings' hidden convolutions.
        recompute: Train in memory that does not grow with K: activations are not kept but made again through the
            inverse, which takes about 1.45 times as long. Rounding differs; there are no gradients of gradients.

    Attributes:
        recompute: May be changed at any time.

    Raises:
        ValueError: `shape` is not divisible, or a count is not positive.

    Call `initialise` with one batch before training (data-dependent actnorm).

    Reference: Kingma and Dhariwal 2018 (arXiv 1807.03039), figure 2.
    """

    domain = constraints.independent(constraints.real, 3)
    codomain = constraints.independent(constraints.real, 1)

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        levels: int = 2,
        steps: int = 8,
        hidden: int = 64,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        if not isinstance(shape, tuple | list) or len(shape) != 3:
            raise ValueError(f"shape: expected (c, h, w), got {describe(shape)}")
        c, h, w = self.shape = tuple(check_integer(f"shape[{i}]", n) for i, n in enumerate(shape))
        levels, steps = check_integer("levels", levels), check_integer("steps", steps)
        hidden = check_integer("hidden", hidden)
        if h % 2**levels or w % 2**levels:
            remedy = "use fewer levels or pad the images" if levels > 1 else "crop or pad the images"
            raise ValueError(
                f"shape: expected height and width divisible by 2^levels = {2**levels}, got {h} x {w}; {remedy}"
            )
        self.levels, self.steps, self.hidden = levels, steps, hidden
        self.dim = c * h * w
        self.blocks = nn.ModuleList()
        self.factors = nn.ModuleList()
        self.part_shapes: list[tuple[int, int, int]] = []
        for level in range(levels):
            c, h, w = 4 * c, h // 2, w // 2
            self.blocks.append(Level(c, steps, hidden))
            if level < levels - 1:
                self.factors.append(FactorOut(c, hidden))
                self.part_shapes.append((c // 2, h, w))
                c -= c // 2
        self.part_shapes.append((c, h, w))
        self.to(memory_format=torch.channels_last)  # as `squeeze` lays its images out

    def __repr__(self) -> str:
        return f"Glow({self.shape}, levels={self.levels}, steps={self.steps}, hidden={self.hidden})"

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        """(*batch, c, h, w) -> (*batch, c h w)."""
        return torch.Size((*shape[:-3], self.dim))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        """(*batch, c h w) -> (*batch, c, h, w)."""
        return torch.Size((*shape[:-1], *self.shape))

    def initialise(self, x: Tensor) -> None:
        """Set every actnorm from one batch of images (b, c, h, w), as Glow does with its first batch."""
        self._check(x)
        if x.ndim != 4 or len(x) < 2:
            raise ValueError(f"x: expected at least two images of shape (b, c, h, w), got {tuple(x.shape)}")
        with torch.no_grad():
            self._forward(x, initialise=True)

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (*batch, c h w) and log |det dz/dx| (*batch)."""
        self._check(x)
        z, ladj = self._forward(x.reshape(-1, *self.shape))
        return z.reshape(*x.shape[:-3], self.dim), ladj.reshape(x.shape[:-3])

    def _check(self, x: Tensor) -> None:
        check_tensors({"x": x})
        if x.shape[-3:] != self.shape:
            raise ValueError(f"x: expected images of shape (*batch, {self.shape}), got {tuple(x.shape)}")

    def _forward(self, x: Tensor, initialise: bool = False) -> tuple[Tensor, Tensor]:
        x = x - 0.5
        ladj = x.new_zeros(len(x))
        parts = []
        for level, block in enumerate(self.blocks):
            x = squeeze(x)
            if initialise:
                cast(Level, block).initialise(x)
            x, volume = block(x, self.recompute)
            ladj = ladj + volume
            if level < self.levels - 1:
                x, part, volume = self.factors[level](x)
                ladj = ladj + volume
                parts.append(part.flatten(1))
        return torch.cat([*parts, x.flatten(1)], dim=1), ladj

    def _inverse(self, z: Tensor) -> Tensor:
        check_tensors({"z": z}, (self.dim,))
        parts = z.reshape(-1, self.dim).split([c * h * w for c, h, w in self.part_shapes], dim=1)
        images = [part.reshape(-1, *shape) for part, shape in zip(parts, self.part_shapes)]
        x = images[-1]
        for level in reversed(range(self.levels)):
            if level < self.levels - 1:
                x = cast(FactorOut, self.factors[level]).inverse(x, images[level])
            x = unsqueeze(cast(Level, self.blocks[level]).inverse(x))
        return (x + 0.5).reshape(*z.shape[:-1], *self.shape)
