"""Networks that give a layer its parameters: all start at zero, so that every layer starts at the identity."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Conditioner"]


class Conditioner(nn.Module):
    """Parameters of a layer from what it is conditioned on: two hidden layers, or plain parameters without inputs.

    Args:
        inputs: Number of features; 0 for none.
        outputs: Number of parameters.
        hidden: Width of the hidden layers.
        context_dim: Size of the context; 0 for none.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, context_dim: int = 0) -> None:
        super().__init__()
        self.net: nn.Sequential | None = None
        if inputs + context_dim == 0:
            self.free = nn.Parameter(torch.zeros(outputs))
            return
        last = nn.Linear(hidden, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(inputs + context_dim, hidden)
        self.net = nn.Sequential(first, nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)

    def forward(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters `(*batch, outputs)` from features `(*batch, inputs)` and a context `(*batch, context_dim)`.

        In the features' dtype, whichever the weights have.
        """
        if self.net is None:
            return self.free.to(features.dtype).expand(*features.shape[:-1], -1)
        read = features if context is None else torch.cat([features, context], -1)
        weights = dict(self.net.named_parameters())
        if all(weight.dtype == read.dtype for weight in weights.values()):
            return self.net(read)
        return functional_call(self.net, {name: weight.to(read.dtype) for name, weight in weights.items()}, read)
