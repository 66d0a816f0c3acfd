"""Networks whose features images are compared in: any module, or Inception as published scores use it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import DataError

__all__ = ["Extractor", "inception_extractor"]


@dataclass(frozen=True)
class Extractor:
    """A feature extractor and what to call it beside the figures.

    Args:
        name: As tables print it, "classifier trained on digits" for instance.
        function: Images (N, c, h, w) in [0, 1] to features (N, num_features); a module in eval mode, or any function.
        num_features: Width of the features.
        accuracy: Of a classifier, its accuracy on held-out images; None for other networks.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    num_features: int
    accuracy: float | None = None


class _EightBit(nn.Module):
    """Images in [0, 1] of one or three channels to the eight-bit colour images that the published network takes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        colour = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        return self.network((255 * colour).round().clamp(0, 255).to(torch.uint8))[0]


def inception_extractor(weights: Path | None = None) -> Extractor:
    """Inception-v3's 2,048 pooled features with the weights of the published scores, through torch-fidelity.

    Args:
        weights: The file of weights that torch-fidelity publishes; None lets it download them.

    Raises:
        ImportError: torch-fidelity is not installed.
        DataError: The file is no file of plain weights; a pickle that runs code is not opened.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ImportError(
            "extractor inception: needs torch-fidelity; install it with: pip install torch-fidelity"
        ) from error
    if weights is not None:
        try:
            torch.load(weights, weights_only=True, map_location="cpu")  # torch-fidelity itself would unpickle anything
        except Exception as error:  # torch raises whatever the zip and pickle parsers meet
            reason = str(error).partition("\n")[0]
            raise DataError(f"weights: {weights}: expected a file of plain tensors ({reason:.200})") from error
    network = FeatureExtractorInceptionV3("inception-v3", ["2048"], feature_extractor_weights_path=weights)
    return Extractor("Inception-v3 network", _EightBit(network.eval()), 2048)
