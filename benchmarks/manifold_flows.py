"""One-pass flows of data on manifolds: known densities, reverse KL, places on the Earth, torsion angles of RNA.

    python -m benchmarks.manifold_flows TABLE [--seeds 0 1 ...] [--data FOLDER] [--sets ...] [--rna FILE]

TABLE is one of:

- mixture: a five-component von Mises-Fisher mixture on S^2 for each seed, 20,000 points, 1,500 steps of batch 512:
  nats above the truth, the mass, the round trips in float32; at a constant rate and with a cosine schedule.
- reverse: reverse KL from unnormalised densities on tori, spheres and the simplex: KL with its standard error, the
  normaliser by quadrature, and the effective sample size of importance weights.
- earth: held-out nats of places on the Earth (the protocol of benchmarks/earth.py; FOLDER has flood.csv and fire.csv):
  kernel density, flow, and the ensemble of both.
- rna: held-out nats of seven torsion angles (FILE: tab-separated, columns 3 to 9, degrees): kernel density, flows, and
  the ensemble of them.

One thread. Speed beside zuko's circular splines is a part of `make bench`.
"""

import argparse
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn.functional import normalize

from benchmarks.earth import SETS, print_by_set, split, spread
from manifoldflow.data import load_points
from manifoldflow.distributions import Dirichlet, KernelDensity, Mixture, VonMisesFisher, mix_densities
from manifoldflow.evaluation import certify, quadrature
from manifoldflow.flows import Flow, SimplexFlow, SphereFlow, TorusFlow
from manifoldflow.manifolds import Hypersphere, Torus
from manifoldflow.training import TrainSettings, train_flow

LogDensity = Callable[[Tensor], Tensor]


def fitted(flow: Flow, train: Tensor | None, validation: Tensor | None, settings: TrainSettings, **options: Any) -> Any:
    """`train_flow` in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning: few workers
        return train_flow(flow, train, validation, settings, folder=Path(folder), progress=False, **options)


# A known density


def five_modes(seed: int) -> Mixture:
    """A von Mises-Fisher mixture with moderate concentrations, from 5 to 80, drawn by a seed."""
    generator = torch.Generator().manual_seed(seed)
    weights = Categorical(torch.rand(5, generator=generator) + 0.3)
    centres = normalize(torch.randn(5, 3, generator=generator), dim=-1)
    return Mixture(weights, VonMisesFisher(centres, 5 * 16 ** torch.rand(5, generator=generator)))


def round_trip(flow: Flow, x: Tensor) -> float:
    """The largest distance of a point from where encoding and decoding take it."""
    with torch.no_grad():
        return float((flow.decode(flow.encode(x)) - x).norm(dim=-1).max())


def constant_rate(flow: Flow, x: Tensor, rate: float = 2e-3) -> None:
    """The plainest loop: Adam at one rate, 1,500 random batches of 512."""
    optimiser = torch.optim.Adam(flow.parameters(), rate)
    for _ in range(1500):
        optimiser.zero_grad()
        flow.loss(x[torch.randint(len(x), (512,))]).backward()
        optimiser.step()


def scheduled(flow: Flow, x: Tensor) -> None:
    """The same number of steps by `train_flow`, whose rate falls to zero."""
    settings = TrainSettings(epochs=38, batch_size=512, learning_rate=5e-3)  # 39 full batches and a part an epoch
    fitted(flow, x, None, settings)


def mixture(arguments: argparse.Namespace) -> None:
    """Print a row for each seed and way of training."""
    ways = {"constant rate 2e-3": constant_rate, "train_flow, cosine from 5e-3": scheduled}
    print("| training | seed | nats above the truth | mass - 1 | round trip: data | poles | uniform points | s |")
    print("|---|---|---|---|---|---|---|---|")
    nodes, weights = quadrature(Hypersphere(2), 200)
    gaps: dict[str, list[float]] = {way: [] for way in ways}
    for way, train in ways.items():
        for seed in arguments.seeds:
            torch.manual_seed(seed)
            law = five_modes(seed)
            x, held_out = law.sample(torch.Size((2, 20_000)))
            flow, began = SphereFlow(2), time.process_time()
            train(flow, x)
            seconds = time.process_time() - began
            with torch.no_grad():
                gaps[way].append(float((law.log_prob(held_out) - flow.log_prob(held_out)).mean()))
                mass = float(weights @ flow.log_prob(nodes.float()).double().exp())
            poles = torch.cat([torch.eye(3), -torch.eye(3)])
            poles = torch.cat([poles, normalize(poles.repeat(200, 1) + 1e-4 * torch.randn(1200, 3), dim=-1)])
            trips = [round_trip(flow, p) for p in (held_out, poles, normalize(torch.randn(20_000, 3), dim=-1))]
            print(
                f"| {way} | {seed} | {gaps[way][-1]:.4f} | {mass - 1:+.0e} | "
                + " | ".join(f"{trip:.0e}" for trip in trips)
                + f" | {seconds:.0f} |",
                flush=True,
            )
    for way, values in gaps.items():
        print(f"{way}: {spread(values)}, largest {max(values):.4f}")


# Reverse KL


def modes_on_torus(x: Tensor, centres: Tensor, concentration: float) -> Tensor:
    """Log of a sum of products of von Mises densities, not normalised."""
    return (concentration * (x[..., None, :] - centres).cos().sum(-1)).logsumexp(-1)


def modes_on_sphere(x: Tensor, centres: Tensor, concentration: float) -> Tensor:
    """Log of a sum of von Mises-Fisher densities, not normalised."""
    return (concentration * x @ centres.to(x).mT).logsumexp(-1)


def ridge(x: Tensor) -> Tensor:
    """Angles that are bound by their sum."""
    return 3.0 * (x.sum(-1) - 1.94).cos()


def dirichlets(x: Tensor) -> Tensor:
    """An equal mixture of three Dirichlet laws on the triangle."""
    concentrations = torch.tensor([[6.0, 2.0, 2.0], [2.0, 7.0, 3.0], [3.0, 3.0, 8.0]], dtype=x.dtype)
    return Dirichlet(concentrations).log_prob(x[..., None, :]).logsumexp(-1) - math.log(3)


FOUR = normalize(torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), dim=-1)
THREE_SPHERE = normalize(torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, -1], [-1, 0, 1, 0], [0, -1, -1, 0.5]]), dim=-1)


class Target(NamedTuple):
    """A density on a space, the log of its integral, and the flow that is to learn it."""

    name: str
    log_density: LogDensity
    log_integral: float
    flow: Callable[[], Flow]


def log_integral(nodes: Tensor, weights: Tensor, log_density: LogDensity) -> float:
    """By quadrature."""
    return float((log_density(nodes) + weights.log()).logsumexp(0))


def targets() -> Iterator[Target]:
    """In kind those of arXiv 2002.02428: one mode, three and a ridge on the torus, four on spheres; compositions."""
    torus, sphere = quadrature(Torus(2), 400), quadrature(Hypersphere(2), 200)
    one, three = torch.tensor([[0.5, -2.0]]), torch.tensor([[0.5, -2.0], [-1.5, 0.8], [2.6, 2.6]])
    on_torus: dict[str, LogDensity] = {
        "T^2, one mode": partial(modes_on_torus, centres=one, concentration=4.0),
        "T^2, three modes": partial(modes_on_torus, centres=three, concentration=4.0),
        "T^2, ridge": ridge,
    }
    for name, density in on_torus.items():
        yield Target(name, density, log_integral(*torus, density), partial(TorusFlow, 2, transforms=8, bins=12))
    four = partial(modes_on_sphere, centres=FOUR, concentration=10.0)
    yield Target("S^2, four modes", four, log_integral(*sphere, four), partial(SphereFlow, 2, transforms=4))
    deep = partial(modes_on_sphere, centres=THREE_SPHERE, concentration=8.0)
    each = VonMisesFisher(torch.eye(4, dtype=torch.float64)[0], torch.tensor(8.0, dtype=torch.float64))
    integral = math.log(4) + 8.0 - float(each.log_prob(each.loc))
    yield Target("S^3, four modes", deep, integral, partial(SphereFlow, 3, transforms=4))
    yield Target("simplex, three Dirichlet laws", dirichlets, 0.0, partial(SimplexFlow, 2, transforms=8))


def reverse(arguments: argparse.Namespace) -> None:
    """Print a row for each target."""
    print("| target | KL, nats | effective sample size | steps | s |")
    print("|---|---|---|---|---|")
    settings = TrainSettings(
        epochs=arguments.steps // 40, batch_size=512, learning_rate=5e-3, average=0.99, patience=999
    )
    for target in targets():
        torch.manual_seed(0)
        flow, began = target.flow(), time.process_time()
        fitted(flow, None, None, settings, log_density=target.log_density, draws=40 * 512)
        seconds = time.process_time() - began
        with torch.no_grad():
            x = flow.sample((50_000,))
            ratio = (target.log_density(x) - target.log_integral - flow.log_prob(x)).double()
        kl, error = -float(ratio.mean()), float(ratio.std()) / len(x) ** 0.5
        weights = ratio.exp()
        size = float(weights.sum().square() / weights.square().sum()) / len(x)
        print(
            f"| {target.name} | {kl:.4f} ± {error:.4f} | {100 * size:.1f} % | {arguments.steps} | {seconds:.0f} |",
            flush=True,
        )


# Data


def earth(arguments: argparse.Namespace) -> None:
    """Print what each seed gave, then a row for each model."""
    print_by_set(arguments, earth_seed)


def earth_seed(name: str, points: Tensor, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Held-out nats of the kernel density, of a flow, and of both together with weights chosen on validation points.

    Noise is added to the training points, weights are averaged, the best of them on validation points are kept.
    """
    train, validation, test = split(points, seed)
    torch.manual_seed(seed)
    began = time.process_time()
    kernel = KernelDensity.fit(train, method="adaptive")
    flow = SphereFlow(2, transforms=6, bins=16, hidden=64)
    settings = TrainSettings(
        epochs=1 + arguments.steps * 512 // len(train),
        batch_size=512,
        learning_rate=5e-3,
        average=0.99,
        patience=15 + 20_000 // len(train),
        seed=seed,
    )
    fitted(flow, train.float(), validation.float(), settings, noise=(0.01, 0.001), weight_decay=0.05)
    seconds = time.process_time() - began
    models: dict[str, Any] = {"kernel density": kernel, "flow": flow.distribution()}
    models["ensemble"] = mix_densities([models["flow"], kernel], validation)
    figures = {}
    for label, model in models.items():
        found = certify(model, test, train=train, name=label)
        figures[label] = found.nll.value
        print(f"{name}, seed {seed}: {found}", flush=True)
    weights = ", ".join(f"{w:.2f}" for w in models["ensemble"].weights.tolist())
    print(f"{name}, seed {seed}: {seconds:.0f} s to fit; weights of flow and kernel density {weights}", flush=True)
    return figures


def rna_points(arguments: argparse.Namespace) -> Tensor:
    """The seven torsion angles of every nucleotide, in radians."""
    if arguments.rna is None:
        raise SystemExit("rna: pass --rna FILE, a table of torsion angles")
    return load_points(arguments.rna, space="torus", columns="3-9", unit="degrees").points.float()


def score(models: dict[str, Any], test: Tensor, seed: int, found: dict[str, list[float]]) -> None:
    """Print the held-out nats of a seed's models, and add them to what was found."""
    for label, law in models.items():
        with torch.no_grad():
            losses = -law.log_prob(test)
        found.setdefault(label, []).append(float(losses.mean()))
        error = float(losses.std()) / len(test) ** 0.5
        print(f"seed {seed}, {label}: {found[label][-1]:.3f} ± {error:.3f} nats", flush=True)


def print_held_out(found: dict[str, list[float]]) -> None:
    """Print a row for each model."""
    print(f"\n| nats, {max(map(len, found.values()))} seeds | held out |\n|---|---|")
    for label, figures in found.items():
        print(f"| {label} | {spread(figures)} |")


def rna_flow(train: Tensor, validation: Tensor, seed: int, steps: int) -> Flow:
    """An autoregressive flow: falling noise, weight decay, averaged weights, the best of them on validation points."""
    torch.manual_seed(seed)
    flow = TorusFlow(7, passes="autoregressive", transforms=4, hidden=128)
    settings = TrainSettings(
        epochs=1 + steps * 256 // len(train),
        batch_size=256,
        learning_rate=3e-3,
        warmup=100,
        clip=5.0,
        average=0.998,
        patience=20,
        seed=seed,
    )
    fitted(flow, train, validation, settings, noise=(0.05, 0.003), weight_decay=0.1)
    return flow


def rna(arguments: argparse.Namespace) -> None:
    """Print what each seed gave, then means and standard deviations."""
    points = rna_points(arguments)
    found: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        train, validation, test = split(points, seed)
        torch.manual_seed(seed)
        began = time.perf_counter()
        kernel = KernelDensity.fit(train, space=Torus(7), method="adaptive")
        flows = [
            rna_flow(train, validation, 10 * seed + member, arguments.steps) for member in range(arguments.members)
        ]
        members = [flow.distribution() for flow in flows]
        models: dict[str, Any] = {"kernel density": kernel, "one flow": members[0]}
        models[f"ensemble of {len(members)} flows"] = mix_densities(members, validation)
        models["ensemble of flows and kernel density"] = mix_densities([*members, kernel], validation)
        score(models, test, seed, found)
        print(f"seed {seed}: {time.perf_counter() - began:.0f} s of wall time", flush=True)
    print_held_out(found)


def main() -> None:
    """Print a table."""
    tables = {"mixture": mixture, "reverse": reverse, "earth": earth, "rna": rna}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=tables)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--steps", type=int, default=3000, help="of training, for reverse, earth and rna")
    parser.add_argument("--data", type=Path, help="folder of flood.csv and fire.csv")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--rna", type=Path, help="table of torsion angles")
    parser.add_argument("--members", type=int, default=2, help="flows of the ensemble for RNA")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables[arguments.table](arguments)


if __name__ == "__main__":
    main()
