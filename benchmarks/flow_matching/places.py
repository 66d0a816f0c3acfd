"""Data sets of the field, places on the Earth and angles of RNA: held-out nats beside those of a kernel density."""

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.earth import print_by_set, split
from benchmarks.manifold_flows import print_held_out, rna_points, score
from manifoldflow.distributions import Ensemble, KernelDensity, VonMisesFisher, fit_mixture, mix_densities
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Hypersphere, Torus

from .training import batches, train

__all__ = ["earth", "rna"]


def earth(arguments: argparse.Namespace) -> None:
    """Print what each seed gave, then a row for each model."""
    print_by_set(arguments, earth_seed)


def earth_seed(name: str, points: Tensor, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Held-out nats of one seed's models.

    The weights of the ensemble are chosen on the validation points, which its kernel density then takes in.
    """
    fit, validation, test = split(points.float(), seed)
    torch.manual_seed(seed)
    began = time.process_time()
    kernel = KernelDensity.fit(fit, method="adaptive")
    base = kernel if arguments.base == "kernel" else fit_mixture(VonMisesFisher, fit, 100, starts=1, most=2e3)
    space = Hypersphere(2)
    field = VectorField(space, hidden=arguments.hidden, layers=4, waves=64, wave_number=6.0)
    flow = FlowMatching(space, base=base, field=field, coupling=arguments.coupling, solver=Solver(tolerance=1e-5))
    train(flow, batches(fit, arguments.batch), arguments.steps)
    seconds = time.process_time() - began
    model = flow.distribution()
    weights = mix_densities([model, base, kernel], validation).weights
    both = torch.cat([fit, validation])
    whole = KernelDensity.fit(both, method="adaptive")
    models: dict[str, tuple[Any, Tensor]] = {  # and the points that each has seen
        "kernel density": (kernel, fit),
        f"base: {arguments.base}": (base, fit),
        "flow matching": (model, fit),
        "kernel density, validation points included": (whole, both),
        "ensemble of the three": (Ensemble([model, base, whole], weights), both),
    }
    figures = {}
    for label, (law, seen) in models.items():
        if seed in arguments.certified:
            found = certify(law, test, train=seen, name=label, samples=arguments.samples)
            figures[label] = found.nll.value
            print(f"{name}, seed {seed}: {found}", flush=True)
        else:
            with torch.no_grad():
                figures[label] = -float(law.log_prob(test).mean())
            print(f"{name}, seed {seed}: {label}, {figures[label]:.3f} nats", flush=True)
    shares = ", ".join(f"{w:.2f}" for w in weights.tolist())
    print(f"{name}, seed {seed}: {seconds:.0f} s to fit, {flow.evaluations} evaluations a solution", flush=True)
    print(f"{name}, seed {seed}: weights of flow, base and kernel density {shares}", flush=True)
    return figures


def rna(arguments: argparse.Namespace) -> None:
    """Print what each seed gave for the seven torsion angles of RNA, then a row for each model."""
    space, points = Torus(7), rna_points(arguments)
    found: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        fit, validation, test = split(points, seed)
        torch.manual_seed(seed)
        began = time.process_time()
        kernel = KernelDensity.fit(fit, space=space, method="adaptive")
        field = VectorField(space, hidden=arguments.hidden, layers=5)
        flow = FlowMatching(space, field=field, coupling=arguments.coupling, solver=Solver(tolerance=1e-4))
        train(flow, batches(fit, arguments.batch), arguments.steps)
        seconds = time.process_time() - began
        model = flow.distribution()
        models = {"kernel density": kernel, "flow matching": model}
        models["ensemble of the two"] = mix_densities([model, kernel], validation)
        score(models, test, seed, found)
        print(f"seed {seed}: {seconds:.0f} s to fit, {flow.evaluations} evaluations a solution", flush=True)
    print_held_out(found)
