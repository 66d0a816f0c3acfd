"""Flow matching on manifolds: cost of a step, checkerboards, places on the Earth, categories, bent paths.

    python -m benchmarks.flow_matching TABLE [--data FOLDER] [--steps N] [--seeds N] [--sets ...]

TABLE is one of:

- cost: one training step over the network's own forward and backward pass, best of 60, interleaved in one process; and
  flow_matching's step of the same network, where that package is installed.
- checkerboard: held-out nats beside their least, log of half the area, on the sphere and the torus; the energy distance
  of draws by 8 geodesic steps and by the adaptive solver to draws of the target.
- earth: held-out nats of places on the Earth (the protocol of benchmarks/earth.py; FOLDER has flood.csv and fire.csv).
- categories: sequences of 4 categorical variables, the toy of arXiv 2402.05841: divergence of the draws from the truth.
- dirichlet: mixtures of Dirichlet laws on the simplex, divergence from the known density.
- bent: lengths of learned paths over those of optimised ones.
"""

import argparse
import copy
import math
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.earth import places, split
from manifoldflow.data import load_earth
from manifoldflow.distributions import KernelDensity, VonMisesFisher, fit_mixture
from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import BentPath, FlowMatching, Solver, VectorField
from manifoldflow.interpolation import CurveEnergy, inverse_density, optimise
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from manifoldflow.realism import two_moons


def train(
    flow: FlowMatching, draw: Callable[[], Tensor], steps: int, *, rate: float = 2e-3, decay: float = 0.998
) -> float:
    """Adam with a cosine schedule; the averaged weights are left in the flow. Returns the seconds it took."""
    optimiser = torch.optim.Adam(flow.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    average = copy.deepcopy(flow.field)
    began = time.perf_counter()
    for step in range(steps):
        optimiser.zero_grad()
        flow.loss(draw()).backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            share = max(1 - decay, 1 / (step + 1))
            for mean, now in zip(average.parameters(), flow.field.parameters()):
                mean.lerp_(now, share)
    flow.field.load_state_dict(average.state_dict())
    return time.perf_counter() - began


def batches(points: Tensor, size: int) -> Callable[[], Tensor]:
    """Random rows, a fresh batch at every call."""
    return lambda: points[torch.randint(len(points), (size,))]


# Cost


def cost(arguments: argparse.Namespace) -> None:
    """Print the ratios."""
    cases = (Euclidean(4), Hypersphere(2), Hypersphere(7), Torus(2), Torus(7), Simplex(3))
    cases += (Product([Hypersphere(2), Euclidean(1)]),)
    print("| space | batch | ours, ms | the network alone, ms | ratio | flow_matching over ours |")
    print("|---|---|---|---|---|---|")
    for space in cases:
        for size in (256, 1024):
            flow = FlowMatching(space, field=VectorField(space, hidden=128))
            ours, alone, *peer = best_times(flow, steps_of(flow, space.random_point(size, dtype=torch.float32)))
            other = f"{peer[0] / ours:.2f}" if peer else "-"
            print(
                f"| {space} | {size} | {1e3 * ours:.2f} | {1e3 * alone:.2f} | {ours / alone:.2f} | {other} |",
                flush=True,
            )


def steps_of(flow: FlowMatching, x: Tensor) -> list[Callable[[], Tensor]]:
    """The loss of a batch; the network alone on as many points; a peer's loss where there is one."""
    times = torch.rand(len(x))
    return [lambda: flow.loss(x), lambda: flow.field(times, x).square().sum(-1).mean(), *peer_step(flow, x)]


def best_times(flow: FlowMatching, calls: list[Callable[[], Tensor]], repeats: int = 60) -> list[float]:
    """The least seconds of each loss with its backward pass, taken in turn."""
    best = [math.inf] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            flow.zero_grad()
            began = time.process_time()  # of one thread: what neighbours take does not count
            call().backward()
            best[i] = min(best[i], time.process_time() - began)
    return best


def peer_step(flow: FlowMatching, x: Tensor) -> list[Callable[[], Tensor]]:
    """flow_matching's own step of the same network on spheres and tori."""
    try:
        from flow_matching.path import GeodesicProbPath
        from flow_matching.path.scheduler import CondOTScheduler
        from flow_matching.utils.manifolds import FlatTorus, Sphere
    except ImportError:
        return []
    manifold = {Hypersphere: Sphere, Torus: FlatTorus}.get(type(flow.manifold))
    if manifold is None:
        return []
    space = manifold()
    path = GeodesicProbPath(scheduler=CondOTScheduler(), manifold=space)

    def step() -> Tensor:
        start = torch.randn_like(x) if isinstance(space, Sphere) else 2 * math.pi * torch.rand_like(x)
        t = torch.rand(len(x))
        sample = path.sample(t=t, x_0=space.projx(start), x_1=x)
        v = space.proju(sample.x_t, flow.field(t, sample.x_t))
        return (v - sample.dx_t).square().mean()

    return [step]


# Checkerboards


def sphere_board(count: int) -> Tensor:
    """Uniform on half of the 4 x 8 cells of equal area, in height and longitude, of the sphere."""
    row, turn = torch.randint(4, (count,)), torch.randint(4, (count,))
    z = (row + torch.rand(count)) / 2 - 1
    angle = (2 * turn + row % 2 + torch.rand(count)) * math.pi / 4
    ring = (1 - z * z).clamp_min(0).sqrt()
    return torch.stack([ring * angle.cos(), ring * angle.sin(), z], -1)


def torus_board(count: int) -> Tensor:
    """Uniform on half of the 4 x 4 cells of the torus."""
    row, pair = torch.randint(4, (count,)), torch.randint(2, (count,))
    first = (row + torch.rand(count)) * math.pi / 2 - math.pi
    return torch.stack([first, (2 * pair + row % 2 + torch.rand(count)) * math.pi / 2 - math.pi], -1)


def energy_distance(space: Any, x: Tensor, y: Tensor) -> float:
    """2 E d(x, y) - E d(x, x') - E d(y, y') with the geodesic distance (Szekely and Rizzo, 2013)."""

    def mean(a: Tensor, b: Tensor) -> Tensor:
        return space.metric.dist(a[:, None].double(), b[None].double()).mean()

    m = len(x)
    return float(2 * mean(x, y) - (mean(x, x) + mean(y, y)) * m / (m - 1))


def checkerboard(arguments: argparse.Namespace) -> None:
    """Print nats and two-sample statistics."""
    print(
        "| space | nats | least | solver halved | seconds | 8 geodesic steps | adaptive | evaluations | target itself |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for space, board in ((Hypersphere(2), sphere_board), (Torus(2), torus_board)):
        torch.manual_seed(0)
        field = VectorField(space, hidden=arguments.hidden, layers=4, waves=32, wave_number=2.0)
        flow = FlowMatching(space, field=field, coupling=arguments.coupling)
        seconds = train(flow, partial(board, arguments.batch), arguments.steps)
        flow.solver = Solver(tolerance=1e-5)
        held_out = board(4000)
        found = certify(flow.distribution(), held_out, train=board(100))
        print(f"{space}: {found}", flush=True)
        start, target = flow.base.sample((2000,)), board(2000)
        with torch.no_grad():
            adaptive = flow.decode(start)
            evaluations = flow.evaluations
            flow.solver = Solver("geodesic-midpoint", steps=8)
            few = flow.decode(start)
        figures = [energy_distance(space, a, target) for a in (few, adaptive, board(2000))]
        least = math.log(math.exp(space.log_volume) / 2)
        print(
            f"| {space} | {found.nll} | {least:.3f} | {found.tolerance_effect:+.0e} | {seconds:.0f} | "
            f"{figures[0]:.4f} | {figures[1]:.4f} | {evaluations} | {figures[2]:.4f} |",
            flush=True,
        )


# Places on the Earth


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
        for seed in range(arguments.seeds):
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


# Bent paths


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


TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "cost": cost,
    "checkerboard": checkerboard,
    "earth": earth,
    "bent": bent,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, help="folder of flood.csv and fire.csv")
    parser.add_argument("--sets", nargs="+", default=["earthquake", "flood", "fire"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--samples", type=int, default=2000, help="behind the certificates' integral")
    parser.add_argument("--coupling", default="optimal-transport")
    parser.add_argument("--base", choices=("mixture", "kernel"), default="mixture")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    TABLES[arguments.table](arguments)


if __name__ == "__main__":
    main()
