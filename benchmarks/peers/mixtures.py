"""Mixtures and kernel densities on spheres beside spheroids, two matrix products and the sum of all terms."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from manifoldflow.distributions import KernelDensity, VonMisesFisher, fit_mixture
from manifoldflow.distributions.mixtures.em import Points, iterate, start_laws
from manifoldflow.distributions.mixtures.families import family_of

from .case import Case, Goal, Setting

__all__ = ["cases"]

ROOM = "Mixtures"
PRODUCTS = "its two matrix products"


def clustered(count: int, n: int, components: int, device: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Points of a mixture of von Mises-Fisher laws of concentration 2 n."""
    loc = torch.nn.functional.normalize(torch.randn(components, n, dtype=dtype, device=device), dim=-1)
    return VonMisesFisher(loc[torch.randint(components, (count,), device=device)], 2.0 * n).sample()


def products(points: Tensor, components: int, times: int) -> object:
    """The products of points with directions, and of responsibilities with points."""
    directions, shares = points[:components].mT, points[:, :components].mT.contiguous()
    for _ in range(times):
        result = points @ directions, shares @ points
    return result


def one_iteration(count: int, n: int, components: int, device: str) -> dict[str, Callable[[], object]]:
    """E-step and M-step from one start."""
    points = clustered(count, n, components, device)
    family = family_of(VonMisesFisher)
    data = Points(points, torch.full((count,), 1 / count, dtype=torch.float64, device=device))
    laws, logits = start_laws(family, data, components, 1)
    return {
        "ours": partial(iterate, family, data, laws, logits),
        "floor": partial(products, points, components, 1),
    }


def whole_fit(count: int, n: int, components: int, iterations: int, device: str) -> dict[str, Callable[[], object]]:
    """From a start to the last iteration; spheroids fits spherical Cauchy laws, which need no Bessel functions."""
    points = clustered(count, n, components, device)
    options = {"starts": 1, "iterations": iterations, "tolerance": 0.0}
    calls: dict[str, Callable[[], object]] = {
        "ours": partial(fit_mixture, VonMisesFisher, points, components, **options),
        "floor": partial(products, points, components, iterations),
    }
    if find_spec("spheroids"):
        from spheroids.cpp import EM

        calls["spheroids"] = partial(EM, points.double().numpy(), components, "softmax", "spcauchy", 0, iterations, 0.0)
    return calls


def narrow(count: int, width: float, device: str) -> dict[str, Callable[[], object]]:
    """A kernel density of points on S^2 at these points."""
    points = clustered(count, 3, count // 10, device, torch.float64)
    density = KernelDensity(points, width)
    return {"ours": partial(density._log_prob, points), "all terms": partial(density._log_prob, points, dense=True)}


def cases(setting: Setting) -> Iterator[Case]:
    """EM, its memory, and narrow kernels."""
    count, n = setting.pick((10_000, 784), (200, 20))
    yield Case(
        ROOM,
        f"one EM iteration, {count:,} x {n} float32, 10 von Mises-Fisher components",
        partial(one_iteration, count, n, 10, setting.device),
        (),
        PRODUCTS,
        (Goal("ours / floor", at_most=1.5),),
    )
    yield Case(
        ROOM,
        f"k-means++ and 5 EM iterations, {count:,} x {n}, 10 components",
        partial(whole_fit, count, n, 10, 5, setting.device),
        ("spheroids",),
        PRODUCTS,
        (Goal("spheroids / ours", at_least=1.0),),
        memory=True,
    )
    if not setting.quick:
        yield Case(
            ROOM,
            "k-means++ and 2 EM iterations, 50,000 x 1,536 float32 (293 MiB), 50 components",
            partial(whole_fit, 50_000, 1536, 50, 2, setting.device),
            (),
            PRODUCTS,
            memory=True,
        )
    size = setting.pick(12_000, 500)
    yield Case(
        ROOM,
        f"kernel density of {size:,} points on S^2 at these points, bandwidth 0.01",
        partial(narrow, size, 0.01, setting.device),
        ("all terms",),
        goals=(Goal("all terms / ours", at_least=10.0),),
        table="Kernel densities",
        same=1e-6,
    )
