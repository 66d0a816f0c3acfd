"""Actnorm followed by an invertible 1x1 convolution, fused into one affine map of the channels."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["ChannelMixing"]


class ChannelMixing(nn.Module):
    r"""Actnorm and invertible 1x1 convolution of Glow: :math:`y = W (e^{a} x + b)` at every pixel.

    W = P L U starts as a random rotation; the permutation P and the signs of U's diagonal stay fixed,
    so the log-determinant is the sum of the logs of that diagonal. Both maps are linear in the
    channels, so they run as one convolution.

    Args:
        channels: c, the number of channels.

    Reference: Kingma and Dhariwal 2018 (arXiv 1807.03039), sections 3.1 and 3.2.
    """

    permutation: Tensor
    diagonal_sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("diagonal_sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def _triangular(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(len(self.shift), dtype=self.shift.dtype, device=self.shift.device)
        upper = self.upper.triu(1) + torch.diag(self.diagonal_sign * self.log_diagonal.exp())
        return self.lower.tril(-1) + identity, upper

    def initialise(self, x: Tensor) -> None:
        """Set actnorm so that each channel of `x` (b, c, h, w) leaves it with mean 0 and variance 1."""
        with torch.no_grad():
            std, mean = torch.std_mean(x, dim=(0, 2, 3))
            # A channel that is constant in the batch (the border pixels of digits under a small
            # batch) would get an infinite scale.
            log_scale = -std.clamp(min=1e-3).log()
            self.log_scale.copy_(log_scale)
            self.shift.copy_(-mean * log_scale.exp())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `x` (b, c, h, w) and the log-determinant, a scalar since it does not depend on x."""
        lower, upper = self._triangular()
        weight = self.permutation @ lower @ upper
        bias = weight @ self.shift
        y = conv2d(x, (weight * self.log_scale.exp())[..., None, None], bias)
        pixels = x.shape[-1] * x.shape[-2]
        return y, pixels * (self.log_scale.sum() + self.log_diagonal.sum())

    def inverse(self, y: Tensor) -> Tensor:
        """Solve the triangular systems; exact to rounding."""
        lower, upper = self._triangular()
        b, c, h, w = y.shape
        columns = self.permutation.T @ y.movedim(1, 0).reshape(c, b * h * w)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        columns = (columns - self.shift[:, None]) * (-self.log_scale).exp()[:, None]
        return columns.reshape(c, b, h, w).movedim(0, 1)
