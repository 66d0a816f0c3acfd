"""Actnorm followed by an invertible 1x1 convolution, fused into one affine map of the channels, for a whole level."""

import torch
from torch import Tensor, nn

__all__ = ["ChannelMixing"]

_LEAST_STD = 1e-3


class ChannelMixing(nn.Module):
    r"""The channel maps of a level's K steps, :math:`x \mapsto W (e^{a} x + b)` at every pixel.

    Each is Glow's actnorm and invertible 1x1 convolution in one. W = P L U starts as a random rotation;
    the permutation P and the signs of U's diagonal stay fixed, so the log-determinant is the sum of the
    logs of that diagonal. The K small matrices are put together in one batch, since at small image
    sizes the number of operations is what a training step costs.

    Args:
        channels: c.
        steps: K.

    Reference: Kingma and Dhariwal 2018 (arXiv 1807.03039), sections 3.1 and 3.2.
    """

    permutation: Tensor
    diagonal_sign: Tensor

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(steps, channels))
        self.shift = nn.Parameter(torch.zeros(steps, channels))
        rotation = torch.linalg.qr(torch.randn(steps, channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal(dim1=-2, dim2=-1)
        self.register_buffer("permutation", permutation)
        self.register_buffer("diagonal_sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def _triangular(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(self.shift.shape[-1], dtype=self.shift.dtype, device=self.shift.device)
        upper = self.upper.triu(1) + torch.diag_embed(self.diagonal_sign * self.log_diagonal.exp())
        return self.lower.tril(-1) + identity, upper

    def standardise(self, step: int, x: Tensor) -> None:
        """Set one step's actnorm so that each channel of `x` (b, c, h, w) leaves it with mean 0 and variance 1."""
        with torch.no_grad():
            std, mean = torch.std_mean(x, dim=(0, 2, 3))
            # A channel that is constant in the batch (the border pixels of digits) would get an infinite scale.
            log_scale = -std.clamp(min=_LEAST_STD).log()
            self.log_scale[step] = log_scale
            self.shift[step] = -mean * log_scale.exp()

    def maps(self) -> list[tuple[Tensor, Tensor]]:
        """Kernel (c, c, 1, 1) and bias (c,) of each step's convolution."""
        lower, upper = self._triangular()
        weight = self.permutation @ lower @ upper
        bias = (weight @ self.shift[..., None]).squeeze(-1)
        kernels = (weight * self.log_scale.exp()[:, None])[..., None, None]
        return list(zip(kernels.unbind(), bias.unbind(), strict=True))

    def log_determinant(self, pixels: int) -> Tensor:
        """Sum over the steps at images of so many pixels; a scalar, since it does not depend on x."""
        return pixels * (self.log_scale.sum() + self.log_diagonal.sum())

    def inverse_maps(self) -> list[tuple[Tensor, Tensor]]:
        """Kernel and bias of the convolution that undoes each step's map."""
        lower, upper = self._triangular()
        lower, upper = lower.double(), upper.double()  # inverted once, so that only its product with y is rounded
        identity = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device).expand_as(lower)
        inverse = torch.linalg.solve_triangular(lower, identity, upper=False, unitriangular=True)
        inverse = torch.linalg.solve_triangular(upper, inverse, upper=True) @ self.permutation.mT.double()
        scale = (-self.log_scale.double()).exp()
        kernels = (scale[..., None] * inverse)[..., None, None].to(self.shift.dtype)
        biases = -(scale * self.shift).to(self.shift.dtype)
        return list(zip(kernels.unbind(), biases.unbind(), strict=True))
