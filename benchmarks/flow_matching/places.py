"""Places on the Earth: held-out nats beside those of a kernel density, each with its certificate."""

import argparse
import math
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.earth import places, split
from manifoldflow.distributions import KernelDensity, VonMisesFisher, fit_mixture
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Hypersphere

from .training import batches, train

__all__ = ["earth"]


class Blend:
    """A weighted mean of densities."""

    def __init__(self, laws: list[Any], weights: Tensor) -> None:
        self.laws, self.weights = laws, weights
        self.manifold, self.event_shape = laws[0].manifold, laws[0].event_shape
        self.tolerance = next((law.tolerance for law in laws if getattr(law, "tolerance", None)), None)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density."""
        return torch.stack([law.log_prob(x) + w.log() for law, w in zip(self.laws, self.weights)]).logsumexp(0)

    def sample(self, shape: Any = ()) -> Tensor:
        """Draws."""
        which = torch.multinomial(self.weights, math.prod(shape), replacement=True)
        drawn = torch.stack([law.sample((math.prod(shape),)) for law in self.laws])
        return drawn[which, torch.arange(len(which))].reshape(*shape, *self.event_shape)

    def with_tolerance(self, tolerance: float) -> "Blend":
        """The same with another tolerance of the flow's solver."""
        finer = [law.with_tolerance(tolerance) if hasattr(law, "with_tolerance") else law for law in self.laws]
        return Blend(finer, self.weights)


def blended(laws: list[Any], validation: Tensor) -> Blend:
    """Weights by expectation maximisation on points that no law was fitted to."""
    with torch.no_grad():
        logs = torch.stack([law.log_prob(validation).double() for law in laws])
    weights = torch.full((len(laws),), 1 / len(laws), dtype=torch.float64)
    for _ in range(200):
        weights = (logs + weights.log()[:, None]).softmax(0).mean(1)
    return Blend(laws, weights.float())


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
    """One seed: the kernel density, the base, flow matching from it, and a blend of flow and kernel density."""
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
    models["flow matching and kernel density"] = blended([model, kernel], validation)
    for label, law in models.items():
        found = certify(law, test, train=fit, name=label, samples=arguments.samples)
        print(f"{name}, seed {seed}: {found}", flush=True)
    print(f"{name}, seed {seed}: {seconds:.0f} s to fit, {flow.evaluations} evaluations a solution", flush=True)
