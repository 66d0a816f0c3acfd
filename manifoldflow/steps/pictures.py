"""Pictures of interpolations: strips, an animation, a sheet of random paths, a grid between four images."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import quantise
from ..flows import ManifoldFlow
from ..interpolation import grid, interpolate
from ..report.strips import image_grid

__all__ = ["save_animation", "save_grid", "save_sheet", "save_strips"]

_STRIPS = 8
_ANIMATED = 16
_FRAME_MS = 120


def save_strips(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs of (pairs, m, c, h, w), a row each, as PNG."""
    image_grid(images[:_STRIPS].flatten(0, 1), levels, columns=images.shape[1]).save(path)


def save_animation(path: Path, images: Tensor, levels: int) -> None:
    """The first pairs side by side, there and back in an endless loop, as GIF."""
    forward = [image_grid(frame, levels) for frame in images[:_ANIMATED].unbind(1)]
    frames = [*forward, *forward[-2:0:-1]]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0)


def save_sheet(
    path: Path,
    flow: ManifoldFlow,
    start: Tensor,
    end: Tensor,
    *,
    method: str,
    samples: int,
    steps: int,
    levels: int,
    seed: int,
) -> None:
    """Several random paths between the same two points (n,), a row each, as PNG."""
    generator = torch.Generator().manual_seed(seed)
    points = interpolate(start, end, method=method, base=flow.base, steps=steps, samples=samples, generator=generator)
    images = quantise(flow.decode(points), levels)
    image_grid(images.flatten(0, 1), levels, columns=steps).save(path)


def save_grid(path: Path, flow: ManifoldFlow, corners: Tensor, *, side: int, levels: int, seed: int) -> None:
    """Images between four encoded corners (4, n), combined so as to keep the base's law, as PNG."""
    points = grid(corners, side, side, base=flow.base, generator=torch.Generator().manual_seed(seed))
    images = quantise(flow.decode(points.flatten(0, 1)), levels)
    image_grid(images, levels, columns=side).save(path)
