"""Uniform dequantisation with reproducible noise, and the arithmetic of bits per dimension."""

import math
from typing import Any

import torch
from torch import Tensor

from ..checks import check_broadcast, check_integer, check_number, check_tensors, describe
from ..manifolds import is_eager

__all__ = ["bits_per_dim", "dequantise", "hashed_uniform", "quantise"]


_LARGEST_NOISE = 1 - 2.0**-14
"""So that rounding in float32 (255 + 1 - 2^-24 is 256) never carries a pixel into the next cell."""


def _wrapped(value: int) -> int:
    """A 64-bit constant as the signed integer that torch's int64 arithmetic wraps to."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GAMMA, _MIX_1, _MIX_2 = map(_wrapped, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch's own is arithmetic."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _splitmix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, figure 16): mixes the 64 bits of each element."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def hashed_uniform(index: Tensor, count: int, *, seed: int, epoch: int) -> Tensor:
    """Uniform noise in [0, 1) that is a function of (seed, epoch, example index, position) alone.

    A run that is resumed, or spread over devices, so sees the noise of the uninterrupted run, which
    generator state would not give.

    Args:
        index: Example indices (b,), int64.
        count: Numbers wanted for each example.
        seed: Of the run.
        epoch: Number of the pass over the data.

    Returns:
        (b, count), float32, multiples of 2^-24.

    Raises:
        TypeError: `index` is not a tensor of int64.
        ValueError: It is not one-dimensional, or a number is not an integer.
    """
    if not isinstance(index, Tensor) or index.dtype != torch.int64:
        raise TypeError(f"index: expected an int64 tensor of shape (b,), got {describe(index)}")
    if index.ndim != 1:
        raise ValueError(f"index: expected shape (b,), got {tuple(index.shape)}")
    count = check_integer("count", count, 0)
    seed, epoch = (check_integer(name, n, -(2**63), 2**63 - 1) for name, n in (("seed", seed), ("epoch", epoch)))
    key = _splitmix(torch.tensor([seed, epoch], device=index.device) + _GAMMA)
    stream = _splitmix(index * _GAMMA + key[0] + _splitmix(key[1:] + key[0]))
    position = torch.arange(1, count + 1, device=index.device) * _GAMMA
    bits = _splitmix(stream[:, None] + position)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def dequantise(images: Tensor, levels: int, noise: Tensor | float = 0.5) -> Tensor:
    """(image + noise) / levels, in [0, 1): the continuous data whose density a flow models.

    Args:
        images: uint8, (*batch, c, h, w).
        levels: Number of values a pixel can take.
        noise: In [0, 1), broadcastable; 0.5 is the deterministic middle, for encoding.

    Raises:
        TypeError: `images` is not a tensor of integers.
        ValueError: `levels` is not an integer from 1 to 256, or noise is outside or NaN.

    >>> dequantise(torch.tensor([0, 255], dtype=torch.uint8), 256)
    tensor([0.0020, 0.9980])
    """
    if not isinstance(images, Tensor) or images.is_floating_point() or images.is_complex():
        raise TypeError(f"images: expected a tensor of integers, got {describe(images)}; see images_from_array")
    levels = check_integer("levels", levels, 1, 256)
    _check_noise(images, noise)
    noise = torch.as_tensor(noise, device=images.device).clamp(max=_LARGEST_NOISE)
    return (images.to(torch.get_default_dtype()) + noise) / levels


def _check_noise(images: Tensor, noise: Any) -> None:
    if not isinstance(noise, Tensor):
        check_number("noise", noise, 0, 1)
        return
    check_tensors({"noise": noise})
    check_broadcast({"images": images.shape, "noise": noise.shape})
    if is_eager() and noise.numel() and not bool(((noise >= 0) & (noise <= 1)).all()):
        raise ValueError("noise: expected numbers in [0, 1), got others or NaN; draw them with hashed_uniform")


def quantise(x: Tensor, levels: int) -> Tensor:
    """The image (uint8) whose dequantisation cell holds x; outside [0, 1] the nearest image.

    Raises:
        TypeError: `x` is not a tensor of floating point.
        ValueError: `levels` is not an integer from 1 to 256.
    """
    check_tensors({"x": x})
    levels = check_integer("levels", levels, 1, 256)
    return (x * levels).floor().clamp(0, levels - 1).to(torch.uint8)


def bits_per_dim(log_prob: Tensor, dim: int, levels: int) -> Tensor:
    r"""Bits per dimension, :math:`-(\log p(x) - d \log levels) / (d \log 2)`.

    Here log p is the density of x = (image + u) / levels in [0, 1)^d with respect to Lebesgue
    measure. With u uniform the mean of this is an upper bound on the bits that the discrete model
    P(image) = integral of p over its cell needs (Theis et al. 2016, arXiv 1511.01844, section 3.1).

    Args:
        log_prob: Log-densities in nats, any shape.
        dim: d = c h w.
        levels: Number of values a pixel can take.

    Raises:
        TypeError: `log_prob` is not a tensor of floating point.
        ValueError: `dim` or `levels` is not a positive integer.
    """
    check_tensors({"log_prob": log_prob})
    dim, levels = check_integer("dim", dim), check_integer("levels", levels)
    return -log_prob / (dim * math.log(2)) + math.log2(levels)
