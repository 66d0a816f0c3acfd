"""Frechet and kernel distances between sets of images, in the features of a given network."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ..data import ImageSet
from .extractors import Extractor

__all__ = ["FeatureSpace", "SetDistance"]

_SUBSETS = 50
_LARGEST_SUBSET = 1000
_IMAGES_A_CHUNK = 500


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
