"""Frechet and kernel distances between sets of images, in the features of a given network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ..data import ImageSet
from ..errors import DataError

__all__ = ["Extractor", "FeatureSpace", "SetDistance", "inception_extractor"]

_SUBSETS = 50
_LARGEST_SUBSET = 1000
_IMAGES_A_CHUNK = 500


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


@dataclass(frozen=True)
class SetDistance:
    """Distances of a set of images to the reference set.

    Args:
        count: Number of images compared.
        frechet: Squared Frechet distance of Gaussians fitted to the features (Heusel et al. 2017,
            arXiv 1706.08500, eq. 6).
        kernel: Squared maximum mean discrepancy with the cubic kernel, unbiased, mean over random
            subsets (Binkowski et al. 2018, arXiv 1801.01401, section 4).
        kernel_sd: Standard deviation over those subsets; not over runs.
    """

    count: int
    frechet: float
    kernel: float
    kernel_sd: float


class _AsTheyAre(nn.Module):
    """Hands features that were computed before through torchmetrics' extractor."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


class FeatureSpace:
    """Features of a network, in which sets of images are compared with one reference set.

    Images are read in chunks, and only features are kept: 4 bytes times their width for each image.

    Args:
        extractor: The network.
        reference: The real images of the comparison.
        seed: Decides the kernel distance's subsets.
        device: Where features are computed; they are kept on the CPU.
    """

    def __init__(
        self, extractor: Extractor, reference: ImageSet, *, seed: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        self.extractor, self.levels, self.seed, self.device = extractor, reference.levels, seed, torch.device(device)
        if isinstance(extractor.function, nn.Module):
            extractor.function.to(self.device)
        self.reference = self.features(reference.images)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (*batch, num_features) of images (*batch, c, h, w), uint8 with the reference's levels."""
        flat = images.flatten(0, -4)
        features = torch.empty(len(flat), self.extractor.num_features)
        for part, out in zip(flat.split(_IMAGES_A_CHUNK), features.split(_IMAGES_A_CHUNK)):
            out.copy_(self.extractor.function(part.to(self.device).float() / (self.levels - 1)))
        return features.view(*images.shape[:-3], -1)

    def distance(self, features: Tensor) -> SetDistance:
        """Distances of images with these `features` (N, num_features) to the reference."""
        width = features.shape[1]
        frechet = FrechetInceptionDistance(feature=_AsTheyAre(width))
        size = min(_LARGEST_SUBSET, len(features) // 2, len(self.reference) // 2)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*save all extracted features.*")  # they are in memory anyway
            kernel = KernelInceptionDistance(feature=_AsTheyAre(width), subsets=_SUBSETS, subset_size=size)
        for metric in (frechet, kernel):
            metric.update(self.reference, real=True)
            metric.update(features, real=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # the kernel distance draws its subsets from the global generator
            mean, sd = kernel.compute()
        return SetDistance(len(features), float(frechet.compute()), float(mean), float(sd))


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
