"""Frechet and kernel distances between sets of images, in the features of a given network."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

__all__ = ["FeatureSpace", "SetDistance"]

_SUBSETS = 50
_LARGEST_SUBSET = 1000


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

    Args:
        extractor: Images (N, c, h, w) in [0, 1] to features (N, `extractor.num_features`).
        reference: The real images of the comparison.
        seed: Decides the kernel distance's subsets.
    """

    def __init__(self, extractor: nn.Module, reference: Tensor, *, seed: int = 0) -> None:
        self.extractor, self.seed = extractor, seed
        self.reference = self.features(reference)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (N, num_features) of images (N, c, h, w)."""
        return torch.cat([self.extractor(part) for part in images.split(1000)])

    def distance(self, images: Tensor) -> SetDistance:
        """Distances of `images` (N, c, h, w) in [0, 1] to the reference."""
        features = self.features(images)
        width = features.shape[1]
        frechet = FrechetInceptionDistance(feature=_AsTheyAre(width))
        size = min(_LARGEST_SUBSET, len(features) // 2, len(self.reference) // 2)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*save all extracted features.*")  # some hundred rows of 32
            kernel = KernelInceptionDistance(feature=_AsTheyAre(width), subsets=_SUBSETS, subset_size=size)
        for metric in (frechet, kernel):
            metric.update(self.reference, real=True)
            metric.update(features, real=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # the kernel distance draws its subsets from the global generator
            mean, sd = kernel.compute()
        return SetDistance(len(images), float(frechet.compute()), float(mean), float(sd))
