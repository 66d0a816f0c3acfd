"""Gaussian-process bridges beside a Cholesky factorisation per coordinate, and paths beside writing their output."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from manifoldflow.interpolation import GaussianProcessBridge

from .. import interpolation as script
from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Bridges"
PEER = "a Cholesky per coordinate"


def cholesky(bridge: GaussianProcessBridge, t: Tensor, count: int, coordinates: int) -> Tensor:
    """Paths (count, m, coordinates) as usually sampled: each coordinate a process of its own, in float64."""
    paths = bridge.mean(t)[..., :coordinates].expand(count, -1, -1).clone()
    for i in range(coordinates):
        factor = torch.linalg.cholesky(bridge.covariance(t[1:-1]))
        noise = torch.randn(len(factor), count, dtype=torch.float64, device=t.device)
        paths[:, 1:-1, i] += (factor @ noise).T.to(paths)
    return paths


def sampling(kernel: str, m: int, n: int, count: int, part: int, device: str) -> dict[str, Callable[[], object]]:
    """Our sampler; the Cholesky for `part` of the n coordinates."""
    t = torch.linspace(0, 1, m, device=device)
    start, end = torch.randn(2, n, device=device)
    bridge = GaussianProcessBridge(start, end, kernel=script.KERNELS[kernel])
    double = GaussianProcessBridge(start.double(), end.double(), kernel=script.KERNELS[kernel])
    return {
        "ours": lambda: bridge.sample(t, (count,)),
        PEER: lambda: cholesky(double, t.double(), count, part),
        "floor": lambda: torch.randn(count, m, n, device=device),
    }


def bridges(setting: Setting) -> Iterator[Case]:
    """The issue's size, then smaller ones."""
    m, n, count = setting.pick((1000, 512, 100), (6, 4, 2))
    part = setting.pick(8, 2)
    size = f"m = {m:,}, {n} coordinates, {count} paths"
    for kernel in setting.pick(list(script.KERNELS), list(script.KERNELS)[:2]):
        name, _, goal = kernel.removesuffix(")").partition(" (goal ")
        yield Case(
            ROOM,
            f"{name}, {size}",
            partial(sampling, kernel, m, n, count, part, setting.device),
            (PEER,),
            "torch.randn of the output",
            (Goal("ours / floor", at_most=float(goal)),) if goal else (),
            table=f"Sampling (the Cholesky is run for {part} of the coordinates and counted {n // part} times)",
            memory=name in ("Ornstein-Uhlenbeck", "Matern 3/2"),
            times={PEER: n / part},
        )
    for m in setting.pick((30, 100, 300), (5,)):
        yield Case(
            ROOM,
            f"Ornstein-Uhlenbeck, m = {m}, 64 coordinates, 20 paths",
            partial(sampling, next(iter(script.KERNELS)), m, 64, 20, 64, setting.device),
            (PEER,),
            "torch.randn of the output",
            table="Growth with the number of times",
        )


def path(name: str, pairs: int, m: int, n: int, device: str) -> dict[str, Callable[[], object]]:
    """One path beside writing its output."""
    calls = script.path_calls(pairs, m, n, device)
    return {"ours": calls[name], "floor": calls["torch.full"]}


def paths(setting: Setting) -> Iterator[Case]:
    """Paths evaluated at many times."""
    pairs, m, n = setting.pick((1000, 50, 1024), (4, 3, 5))
    goal = (Goal("ours / floor", at_most=1.5),)
    for name in ("linear", "slerp (goal 1.5)", "geodesic, sphere (goal 1.5)", "matched, N(0, I)"):
        yield Case(
            ROOM,
            f"{name.removesuffix(' (goal 1.5)')}, {pairs:,} pairs, m = {m}, n = {n:,}",
            partial(path, name, pairs, m, n, setting.device),
            (),
            "torch.full of the output",
            goal if "goal" in name else (),
            table="Paths",
            memory=name.startswith("slerp"),
        )


def variance(kernel: str, count: int) -> dict[str, float | str]:
    """Largest distance of sampled variances from their exact values, in standard errors, over seven times."""
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    bridge = GaussianProcessBridge(torch.zeros(1).double(), torch.ones(1).double(), kernel=script.KERNELS[kernel])
    exact, mean = bridge.variance(t)[1:-1], bridge.mean(t)[1:-1, 0]

    def far(paths: Tensor) -> float:
        found = (paths[:, 1:-1, 0] - mean).square().mean(0)
        return ((found - exact).abs() / exact * (count / 2) ** 0.5).max().item()

    found: dict[str, float | str] = {"ours": far(bridge.sample(t, (count,)))}
    try:
        found[PEER] = far(cholesky(bridge, t, count, 1))
    except torch.linalg.LinAlgError:
        found[PEER] = "not positive definite to rounding"
    return found


def accuracy(setting: Setting) -> Iterator[Score]:
    """Sampled variances."""
    count = setting.pick(100_000, 100)
    for kernel in script.KERNELS:
        yield Score(
            ROOM,
            f"{kernel.partition(' (goal')[0]}, {count:,} paths",
            partial(variance, kernel, count),
            (PEER,),
            (Goal("ours", at_most=4.0),),
            "Accuracy (sampled variances at seven times: standard errors from the exact ones, the largest)",
        )


def cases(setting: Setting) -> list[Case | Score]:
    """All of them."""
    return [*bridges(setting), *paths(setting), *accuracy(setting)]
