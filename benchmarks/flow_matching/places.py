"""Data sets of the field, places on the Earth and angles of RNA: held-out nats beside those of a kernel density."""

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.earth import places, split, spread
from manifoldflow.data import load_points
from manifoldflow.distributions import Ensemble, KernelDensity, VonMisesFisher, fit_mixture, mix_densities
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Hypersphere, Torus

from .training import batches, train

__all__ = ["earth", "rna"]


def earth(arguments: argparse.Namespace) -> None:
    """Print what each seed gave, then a row for each model."""
    rows: dict[str, dict[str, str]] = {}
    for name in arguments.sets:
        points = places(name, arguments.data)
        if points is None:
            print(f"{name}: left out; pass --data with a folder that has {name}.csv")
            continue
        found: dict[str, list[float]] = {}
        for seed in arguments.seeds:
            for model, figure in earth_seed(name, points.float(), seed, arguments).items():
                found.setdefault(model, []).append(figure)
        for model, figures in found.items():
            rows.setdefault(model, {})[name] = spread(figures)
    print(f"\n| nats, {len(arguments.seeds)} seeds | {' | '.join(arguments.sets)} |")
    print("|---|" + "---|" * len(arguments.sets))
    for row, values in rows.items():
        print(f"| {row} | {' | '.join(values.get(name, '-') for name in arguments.sets)} |")


def earth_seed(name: str, points: Tensor, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Held-out nats of one seed's models.

    The weights of the ensemble are chosen on the validation points, which its kernel density then takes in.
    """
    fit, validation, test = split(points, seed)
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
    whole = KernelDensity.fit(torch.cat([fit, validation]), method="adaptive")
    models: dict[str, Any] = {"kernel density": kernel, f"base: {arguments.base}": base, "flow matching": model}
    models["kernel density, validation points included"] = whole
    models["ensemble of the three"] = Ensemble([model, base, whole], weights)
    figures = {}
    for label, law in models.items():
        seen = torch.cat([fit, validation]) if label in list(models)[3:] else fit
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
    if arguments.rna is None:
        raise SystemExit("rna: pass --rna FILE, a table of torsion angles")
    space = Torus(7)
    points = load_points(arguments.rna, space="torus", columns="3-9", unit="degrees").points.float()
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
        for label, law in models.items():
            with torch.no_grad():
                losses = -law.log_prob(test)
            found.setdefault(label, []).append(float(losses.mean()))
            error = float(losses.std()) / len(test) ** 0.5
            print(f"seed {seed}, {label}: {found[label][-1]:.3f} ± {error:.3f} nats", flush=True)
        print(f"seed {seed}: {seconds:.0f} s to fit, {flow.evaluations} evaluations a solution", flush=True)
    print(f"\n| nats, {len(arguments.seeds)} seeds | held out |\n|---|---|")
    for label, figures in found.items():
        print(f"| {label} | {spread(figures)} |")
