"""Checks that decoders with any prior share."""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import Distribution

from ..checks import check_integer, check_tensors, describe

__all__ = ["check_image_shape", "check_rows", "latent_dim_of"]


def check_image_shape(image_shape: Any, multiple: int = 1) -> tuple[int, int, int]:
    """(channels, height, width) as integers; ValueError unless height and width are divisible by `multiple`."""
    listed = isinstance(image_shape, tuple | list) and len(image_shape) == 3
    if not listed or not all(type(n) is int and n > 0 for n in image_shape):
        got = tuple(image_shape) if listed else describe(image_shape)
        raise ValueError(f"image_shape: expected (channels, height, width), all positive integers, got {got}")
    channels, height, width = image_shape
    if height % multiple or width % multiple:
        raise ValueError(
            f"image_shape: expected (channels, height, width) with height and width divisible by {multiple}, got "
            f"{tuple(image_shape)}; pad the images"
        )
    return channels, height, width


def latent_dim_of(prior: TorchDistribution | None, latent_dim: int) -> int:
    """Number of coordinates of the prior's latents, or `latent_dim` without one."""
    if prior is None:
        return check_integer("latent_dim", latent_dim)
    if not isinstance(prior, Distribution):
        raise TypeError(f"prior: expected a distribution of vectors or None, got {describe(prior)}")
    if len(prior.event_shape) != 1 or prior.batch_shape:
        raise ValueError(
            f"prior: expected one distribution of vectors, got event shape {tuple(prior.event_shape)} and batch "
            f"shape {tuple(prior.batch_shape)}"
        )
    return int(prior.event_shape[0])


def check_rows(model: nn.Module, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless `value` has the shape (rows, *shape), and the model's dtype outside of autocast."""
    check_tensors({name: value})
    if tuple(value.shape[1:]) != shape or not value.ndim:
        sizes = ", ".join(map(str, ("rows", *shape)))
        what = "images" if len(shape) == 3 else "latents"
        raise ValueError(f"{name}: expected {what} of shape ({sizes}), got {tuple(value.shape)}")
    weight = next(model.parameters())
    if weight.dtype != value.dtype and not torch.is_autocast_enabled(value.device.type):
        raise ValueError(
            f"{name}: expected {weight.dtype} as the model's weights, got {value.dtype}; convert it with "
            f".to({weight.dtype})"
        )
    if weight.device != value.device:
        raise ValueError(
            f"{name}: expected a tensor on {weight.device}, where the model is, got {value.device}; move one of them"
        )
