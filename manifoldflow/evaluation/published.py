"""The result tables of the paper on interpolation in normalizing flows, to print beside one's own.

Source: Fadel et al. 2021, "Principled Interpolation in Normalizing Flows" (arXiv 2010.12059): mean and standard
deviation over runs, Frechet distances in Inception's features.
"""

from typing import NamedTuple

__all__ = ["PUBLISHED", "Published", "published_for"]


class Published(NamedTuple):
    """Bits per dimension and Frechet distance, each mean and standard deviation."""

    bpd: tuple[float, float]
    frechet: tuple[float, float]


PUBLISHED: dict[str, dict[tuple[str, str], Published]] = {
    "fashion-mnist": {
        ("gaussian", "samples"): Published((3.24, 0.04), (66.64, 1.29)),
        ("vmf-1", "samples"): Published((3.16, 0.03), (60.45, 3.34)),
        ("vmf-1.5", "samples"): Published((3.30, 0.07), (61.89, 1.29)),
        ("vmf-2", "samples"): Published((3.22, 0.06), (60.60, 3.47)),
        ("gaussian", "linear"): Published((2.84, 0.10), (13.06, 0.62)),
        ("gaussian", "norm-corrected"): Published((2.93, 0.03), (7.80, 0.13)),
        ("vmf-1", "geodesic"): Published((2.66, 0.03), (12.16, 0.13)),
        ("vmf-1.5", "geodesic"): Published((2.84, 0.07), (12.19, 1.07)),
        ("vmf-2", "geodesic"): Published((2.70, 0.05), (15.11, 0.85)),
    },
    "cifar-10": {
        ("gaussian", "samples"): Published((3.52, 0.01), (71.34, 0.45)),
        ("vmf-1", "samples"): Published((3.43, 0.00), (71.07, 0.78)),
        ("vmf-1.5", "samples"): Published((3.42, 0.00), (70.58, 0.40)),
        ("vmf-2", "samples"): Published((3.42, 0.01), (71.00, 0.28)),
        ("gaussian", "linear"): Published((2.64, 0.06), (58.63, 1.26)),
        ("gaussian", "norm-corrected"): Published((3.32, 0.01), (14.29, 0.16)),
        ("vmf-1", "geodesic"): Published((2.78, 0.05), (51.08, 0.37)),
        ("vmf-1.5", "geodesic"): Published((2.66, 0.05), (55.23, 5.14)),
        ("vmf-2", "geodesic"): Published((2.58, 0.08), (52.65, 3.34)),
    },
}
"""By data set, then by prior and what was measured: "samples" (test bits per dimension, their distance) or a path."""


def published_for(data: str) -> dict[tuple[str, str], Published]:
    """The tables of the data set that a name such as "Fashion-MNIST" or "cifar-10-batches-bin" tells; else none."""
    name = "".join(c for c in data.lower() if c.isalnum())
    for key, word in {"fashion-mnist": "fashion", "cifar-10": "cifar10"}.items():
        if word in name and "cifar100" not in name:
            return PUBLISHED[key]
    return {}
