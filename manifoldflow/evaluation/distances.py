"""Frechet and kernel distances between sets of images, in the features of a given network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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
_RESAMPLINGS = 200
_FEWEST = 4
"""The kernel distance draws subsets of half the images, and needs two in each."""


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


class _Precomputed(nn.Module):
    """Stands where torchmetrics expects a network, and hands on features that are computed already."""

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
        """Distances of images with these `features` (N, num_features) to the reference.

        Raises:
            DataError: Fewer than 4 images on a side.
        """
        width, fewest = features.shape[1], min(len(features), len(self.reference))
        if fewest < _FEWEST:
            raise DataError(
                f"features: the kernel distance needs at least {_FEWEST} images on both sides, got {len(features)} "
                f"and {len(self.reference)} of the reference"
            )
        frechet = FrechetInceptionDistance(feature=_Precomputed(width))
        size = min(_LARGEST_SUBSET, len(features) // 2, len(self.reference) // 2)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*save all extracted features.*")  # they are in memory anyway
            kernel = KernelInceptionDistance(feature=_Precomputed(width), subsets=_SUBSETS, subset_size=size)
        for metric in (frechet, kernel):
            metric.update(self.reference, real=True)
            metric.update(features, real=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # the kernel distance draws its subsets from the global generator
            mean, sd = kernel.compute()
        return SetDistance(len(features), float(frechet.compute()), float(mean), float(sd))

    def resampled_frechet(self, features: Tensor, *, seed: int, draws: int = _RESAMPLINGS) -> Tensor:
        """Frechet distances (draws,) of as many images drawn with replacement from these: a bootstrap.

        Resampled sets lie further from the reference than the whole one; their spread, and the spread of differences
        between two sets of images with the same `seed` and number, estimate those of the distance.

        Args:
            features: (N, num_features).
            seed: Decides which images are drawn, whatever the features are.
            draws: How many sets.
        """
        x = features.double()
        mean, root = self._moments
        whitened = x @ root
        generator = torch.Generator().manual_seed(seed)
        distances = torch.empty(draws, dtype=torch.float64)
        for i in range(draws):
            index = torch.randint(len(x), (len(x),), generator=generator)
            part, white = x[index], whitened[index]
            centre = part.mean(0)
            white = white - white.mean(0)
            # The trace of the root of a product of covariances, from the smaller of the two Gram matrices.
            gram = white.T @ white if white.shape[1] <= len(x) else white @ white.T
            overlap = torch.linalg.eigvalsh(gram / (len(x) - 1)).clamp_min(0).sqrt().sum()
            spread = (part - centre).square().sum() / (len(x) - 1) + root.square().sum()
            distances[i] = (centre - mean).square().sum() + spread - 2 * overlap
        return distances

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and symmetric root of the covariance of the reference's features, in float64."""
        reference = self.reference.double()
        values, vectors = torch.linalg.eigh(torch.cov(reference.T))
        return reference.mean(0), (vectors * values.clamp_min(0).sqrt()) @ vectors.T


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
