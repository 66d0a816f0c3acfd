"""Bent paths: how long learned paths are, over optimised ones between the same pairs."""

import argparse
import time
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from manifoldflow.data import load_earth
from manifoldflow.distributions import VonMisesFisher, fit_mixture
from manifoldflow.flows.matching import BentPath
from manifoldflow.interpolation import CurveEnergy, inverse_density, optimise
from manifoldflow.manifolds import Euclidean, Hypersphere
from manifoldflow.realism import two_moons

__all__ = ["bent"]


def moons() -> tuple[Any, CurveEnergy, Any]:
    """Two moons: the inverse root of their density, with a floor."""
    law = two_moons()
    typical = float(law.log_prob(law.sample((2000,))).mean())
    energy = CurveEnergy(inverse_density(partial(floored, law, -9.0), beta=0.5, reference=typical))
    return Euclidean(2), energy, law.sample


def earthquakes() -> tuple[Any, CurveEnergy, Any]:
    """Earthquakes: the inverse of a mixture's density, with a floor."""
    points = load_earth("earthquake").float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # components at the bound
        law = fit_mixture(VonMisesFisher, points, 24, starts=1, most=60.0)
    energy = CurveEnergy(inverse_density(partial(floored, law, -5.0), reference=-2.5), space=Hypersphere(2))
    return Hypersphere(2), energy, lambda shape: points[torch.randint(len(points), shape)]


def floored(law: Any, floor: float, x: Tensor) -> Tensor:
    """Log of a density and a constant."""
    return torch.logaddexp(law.log_prob(x), torch.tensor(floor, dtype=x.dtype))


def bent(arguments: argparse.Namespace) -> None:
    """Print the lengths of learned paths and of geodesics over those of optimised paths between the same new pairs."""
    print(
        "| data | learned / optimised: median | nine in ten below | geodesic / optimised: median | seconds, training |"
    )
    print("|---|---|---|---|---|")
    for case in (moons, earthquakes):
        torch.manual_seed(0)
        space, energy, draw = case()
        path = BentPath(space, energy, hidden=96, layers=4, segments=24)
        optimiser = torch.optim.Adam(path.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=arguments.steps, pct_start=0.1)
        began = time.process_time()
        for _ in range(arguments.steps):
            optimiser.zero_grad()
            path.loss(draw((64,)), draw((64,))).backward()
            nn.utils.clip_grad_norm_(path.parameters(), 10.0)
            optimiser.step()
            schedule.step()
        seconds = time.process_time() - began
        start, end = draw((100,)), draw((100,))
        first: Any = "linear" if isinstance(space, Euclidean) else "geodesic"
        best = optimise(energy, start, end, segments=60, starts=first, progress=False).solution.length
        with torch.no_grad():
            ratio = energy.length(path.nodes(start, end, 60)) / best
            straight = energy.length(BentPath(space, energy).nodes(start, end, 60)) / best
        print(
            f"| {case.__name__} | {ratio.median():.3f} | {ratio.quantile(0.9):.3f} | {straight.median():.3f} | "
            f"{seconds:.0f} |",
            flush=True,
        )
