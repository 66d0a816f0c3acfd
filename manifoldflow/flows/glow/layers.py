"""Glow's layers: squeeze, the affine map of the channels at every pixel, and affine coupling."""

import torch
from torch import Tensor, nn

__all__ = ["AffineCoupling", "ChannelMixing", "conditioner", "scale_and_shift", "squeeze", "unsqueeze"]

LOG_SCALE_BOUND = 2.0
_PIECE = 2**18
"""Hidden activations computed at once where no gradient is wanted: 1 MiB in float32, which caches hold."""
_LEAST_STD = 1e-3


# torch's pixel_unshuffle gives a wrong shape for empty batches. This one copies once, into the
# channels-last layout, in which the convolutions of small images are faster on a CPU.
def squeeze(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, 4c, h/2, w/2); volume preserving (arXiv 1605.08803, section 3.6)."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c).movedim(-1, 1)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    b, c, h, w = x.shape
    x = x.reshape(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(b, c // 4, 2 * h, 2 * w)


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


def conditioner(channels_in: int, channels_out: int, hidden: int) -> nn.Sequential:
    """Glow's 3x3, 1x1, 3x3 convolutions; the last starts at zero, so a new coupling is the identity."""
    net = nn.Sequential(
        nn.Conv2d(channels_in, hidden, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, channels_out, 3, padding=1),
    )
    last = net[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return net


def scale_and_shift(net: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a conditioner makes of x (b, c', h, w): a log-scale within +-2 and a shift (b, c, h, w), in the dtype of x.

    The bound keeps the inverse as well conditioned as the forward map: one coupling stretches by
    e^2 at the most. (Glow's own sigmoid can shrink without bound.)
    """
    raw, shift = _output(net, x).to(x.dtype).chunk(2, dim=1)
    return LOG_SCALE_BOUND * torch.tanh(raw / LOG_SCALE_BOUND), shift


def _output(net: nn.Sequential, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    first = net[0]
    assert isinstance(first, nn.Conv2d)
    rows = max(1, _PIECE // (first.out_channels * h * w))
    if torch.is_grad_enabled() or x.device.type != "cpu" or b <= rows:
        return net(x)
    return torch.cat([net(part) for part in x.split(rows)])


class AffineCoupling(nn.Module):
    r"""(x_a, x_b) -> (x_a, e^{s(x_a)} x_b + t(x_a)) over the channels.

    Args:
        channels: c; the first c - c // 2 pass through, the rest are transformed.
        hidden: Channels of the hidden convolutions.

    Reference: Dinh et al. 2017 (arXiv 1605.08803), eq. 7 and 8.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.split = (channels - channels // 2, channels // 2)
        self.net = conditioner(self.split[0], 2 * self.split[1], hidden)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `x` (b, c, h, w) and its log-determinant (b,)."""
        a, b = x.split(self.split, dim=1)
        log_scale, shift = scale_and_shift(self.net, a)
        y = torch.cat([a, torch.addcmul(shift, b, log_scale.exp())], dim=1)
        return y, log_scale.sum((1, 2, 3))

    def inverse(self, y: Tensor) -> Tensor:
        """The point whose image is `y`; exact to rounding."""
        a, b = y.split(self.split, dim=1)
        log_scale, shift = scale_and_shift(self.net, a)
        return torch.cat([a, (b - shift) * (-log_scale).exp()], dim=1)
