"""Places on the Earth: held-out nats beside those of a kernel density, each with its certificate."""

import argparse
import time

import torch
from torch import Tensor

from benchmarks.earth import places, split
from manifoldflow.distributions import KernelDensity, VonMisesFisher, fit_mixture, mix_densities
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Hypersphere

from .training import batches, train

__all__ = ["earth"]


def earth(arguments: argparse.Namespace) -> None:
    """Print a row for each set, seed and model, each with its certificate."""
    for name in arguments.sets:
        points = places(name, arguments.data)
        if points is None:
            print(f"{name}: left out; pass --data with a folder that has {name}.csv")
            continue
        points = points.float()
        for seed in arguments.seeds:
            earth_seed(name, points, seed, arguments)


def earth_seed(name: str, points: Tensor, seed: int, arguments: argparse.Namespace) -> None:
    """One seed: the kernel density, the base, flow matching from it, and the ensemble of flow and kernel density."""
    fit, validation, test = split(points, seed)
    torch.manual_seed(seed)
    began = time.perf_counter()
    kernel = KernelDensity.fit(fit, method="adaptive")
    base = kernel if arguments.base == "kernel" else fit_mixture(VonMisesFisher, fit, 100, starts=1, most=2e3)
    seconds = time.perf_counter() - began
    space = Hypersphere(2)
    field = VectorField(space, hidden=arguments.hidden, layers=4, waves=64, wave_number=6.0)
    flow = FlowMatching(space, base=base, field=field, coupling=arguments.coupling, solver=Solver(tolerance=1e-5))
    seconds += train(flow, batches(fit, arguments.batch), arguments.steps)
    model = flow.distribution()
    models = {"kernel density": kernel, f"base: {arguments.base}": base, "flow matching": model}
    models["flow matching and kernel density"] = mix_densities([model, kernel], validation)
    for label, law in models.items():
        found = certify(law, test, train=fit, name=label, samples=arguments.samples)
        print(f"{name}, seed {seed}: {found}", flush=True)
    print(f"{name}, seed {seed}: {seconds:.0f} s to fit, {flow.evaluations} evaluations a solution", flush=True)
