"""Affine coupling: one half of the channels scales and shifts the other through a small network."""

import torch
from torch import Tensor, nn

__all__ = ["AffineCoupling", "conditioner", "scale_and_shift"]

LOG_SCALE_BOUND = 2.0
_PIECE = 2**18
"""Hidden activations computed at once where no gradient is wanted: 1 MiB in float32, which caches hold."""


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
