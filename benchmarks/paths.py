"""Optimised paths against the papers' recipe, geomstats and stochman, in one process on one thread.

    python benchmarks/paths.py [--rounds 3]

Semicircle prior, D = 20, 50 segments, eps = 0.1, random pairs from the two end components. "Best" is the lowest energy
that any method finds for a pair; a method is there once it is within 1 % of it.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from manifoldflow._geomstats import GeomstatsEuclidean
from manifoldflow.interpolation import (
    AdamStraightening,
    CurveEnergy,
    GraphStart,
    SobolevDescent,
    Trace,
    optimise,
    realism_energy,
)
from manifoldflow.interpolation.curves.descent import Monitor
from manifoldflow.realism import density_index, semicircle

SEGMENTS = 50
OURS, SPLINE = "Sobolev descent (default)", "stochman spline, Adam"


class WholeDecoder(nn.Module):
    """Hides the layers of a decoder, so that its last linear layer is not measured in its smaller input."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents `(rows, n)`."""
        return self.decoder(z)


def problem(pairs: int, decoder: nn.Module | None) -> tuple[CurveEnergy, Tensor, Tensor]:
    """The energy and the end points."""
    prior = semicircle(20)
    energy = realism_energy(density_index(prior).regularised(0.1), decoder, rule="ends")
    start = prior.sample_given(torch.zeros(pairs, dtype=torch.long))
    return energy, start, prior.sample_given(torch.full((pairs,), 2))


def small_decoder() -> nn.Module:
    """A 20-64-784 network with random weights."""
    return nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 784)).requires_grad_(False)


def spline(energy: CurveEnergy, start: Tensor, end: Tensor, iterations: int = 600) -> Trace:
    """stochman's cubic spline with Adam, as its geodesic_minimizing_energy runs it, under our energy."""
    from stochman.curves import CubicSpline  # the one table that needs it

    monitor = Monitor(len(start))
    curve = CubicSpline(start, end, num_nodes=8)
    times = torch.linspace(0, 1, SEGMENTS + 1)
    adam = torch.optim.Adam(curve.parameters(), lr=1e-1)
    lowest = torch.full((len(start),), torch.inf)
    for _ in range(iterations):
        adam.zero_grad()
        values = energy(curve(times))
        values.mean().backward()
        lowest = torch.minimum(lowest, values.detach())
        monitor.record(lowest, 0)
        adam.step()
    return monitor.trace()


def solved(energy: CurveEnergy, start: Tensor, end: Tensor, solver: SobolevDescent | AdamStraightening) -> Trace:
    """The trace of one of our solvers from a straight start."""
    return optimise(energy, start, end, segments=SEGMENTS, solver=solver).solution.traces[0]


def within(trace: Trace, best: Tensor) -> Tensor:
    """Seconds until each pair is within 1 % of best; infinity if never."""
    there = trace.energy <= 1.01 * best[:, None]
    seconds = trace.seconds[there.float().argmax(1)]
    return torch.where(there.any(1), seconds, torch.inf)


def compare(title: str, methods: dict[str, Callable[[], Trace]], extra: Tensor, rounds: int) -> None:
    """Print one table: median seconds to 1 % of best over the rounds, and the share of pairs that get there."""
    traces: dict[str, list[Trace]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, run in methods.items():
            traces[name].append(run())
    lows = [t.energy.min(1).values for runs in traces.values() for t in runs]
    best = torch.stack([*lows, extra]).min(0).values
    print(
        f"\n{title}\n\n"
        "| method | median s to 1 % of best | slowest pair | pairs there | worst energy / best | total s |"
    )
    print("|---|---|---|---|---|---|")
    for name, runs in traces.items():
        seconds = [within(t, best) for t in runs]
        there = torch.stack([s.isfinite().float().mean() for s in seconds]).mean().item()
        reached = [s[s.isfinite()] for s in seconds]
        median = statistics.median(s.median().item() if len(s) else float("inf") for s in reached)
        slowest = statistics.median(s.max().item() if len(s) else float("inf") for s in reached)
        worst = max((t.energy.min(1).values / best).max().item() for t in runs)
        total = statistics.median(t.seconds[-1].item() for t in runs)
        print(f"| {name} | {median:.3f} | {slowest:.2f} | {there:.3f} | {worst:.4f} | {total:.2f} |")
    ours, spline_runs = (traces[name][0].energy.min(1).values for name in (OURS, SPLINE))
    print(f"\nhighest energy of the default over the spline's, over all pairs: {(ours / spline_runs).max().item():.4f}")


def semicircle_tables(rounds: int) -> None:
    """256 pairs with the identity decoder, and 50 with a small network."""
    for pairs, network in ((256, None), (50, small_decoder())):
        energy, start, end = problem(pairs, network)
        graph = GraphStart(energy, semicircle(20).sample((2000,)))
        found = optimise(energy, start, end, starts=["linear", graph], solver=SobolevDescent(1e-6)).solution.energy
        recipe = AdamStraightening(patience=10**9, max_iterations=1500)
        plain = AdamStraightening(straighten=False, patience=10**9, max_iterations=1500)

        def sobolev(memory: int, e=energy, a=start, b=end) -> Trace:
            return solved(e, a, b, SobolevDescent(memory=memory))

        methods: dict[str, Callable[[], Trace]] = {
            OURS: lambda run=sobolev: run(5),
            "Sobolev descent, no memory": lambda run=sobolev: run(0),
            "papers' recipe": lambda e=energy, a=start, b=end, s=recipe: solved(e, a, b, s),
            "Adam alone": lambda e=energy, a=start, b=end, s=plain: solved(e, a, b, s),
            SPLINE: lambda e=energy, a=start, b=end: spline(e, a, b),
        }
        if network is not None:
            whole = CurveEnergy(energy.conformal, WholeDecoder(network), rule="ends")
            methods["Sobolev descent, all 784 outputs"] = lambda e=whole, a=start, b=end: solved(
                e, a, b, SobolevDescent()
            )
            methods["papers' recipe, all 784 outputs"] = lambda e=whole, a=start, b=end, s=recipe: solved(e, a, b, s)
        name = "identity decoder" if network is None else "20-64-784 decoder"
        compare(f"{pairs} pairs, {name}", methods, found, rounds)


def path_straightening(pairs: int = 4) -> None:
    """Pairs per second against geomstats' PathStraightening, which gets the same energy function."""
    from geomstats.numerics.geodesic import PathStraightening

    energy, start, end = problem(64, small_decoder())
    space = GeomstatsEuclidean(20)
    peer = PathStraightening(space, path_energy=lambda path: energy(path.to(start)).double(), n_nodes=SEGMENTS + 1)
    began = time.perf_counter()
    theirs = torch.stack(
        [energy(peer._discrete_geodesic_bvp_single(end[i].double(), start[i].double()).to(start)) for i in range(pairs)]
    )
    each = (time.perf_counter() - began) / pairs
    print("\ngeomstats' PathStraightening, 20-64-784 decoder, same energy\n")
    print("| method | pairs per second | energy / geomstats' (worst pair) |")
    print("|---|---|---|")
    print(f"| geomstats, one pair at a time | {1 / each:.2f} | 1 |")
    for count in (pairs, 64):
        began = time.perf_counter()
        ours = optimise(energy, start[:count], end[:count], segments=SEGMENTS).solution.energy
        rate = count / (time.perf_counter() - began)
        print(f"| ours, {count} pairs at once | {rate:.1f} | {(ours[:pairs] / theirs).max().item():.4f} |")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    semicircle_tables(rounds)
    path_straightening()


if __name__ == "__main__":
    main()
