"""How often optimised paths end in a worse basin, on priors with several, by how they start.

    python benchmarks/paths_basins.py [--pairs 50] [--eps 0.1 0.01] [--dims 2 8 20 64] [--neighbours 10 20 80]

Starts: a straight line; the shortest path in a graph of 2,000 draws with the first number of neighbours; and
`multi_start`, the best of a straight line and graphs of the same draws with all these numbers of neighbours.
A pair fails if its energy is more than 5 % above the best that a long multi-start finds: these, two larger graphs of
other draws, and paths through six random draws of the prior. Segments are looked at in four pieces: with one, minimal
energies jump over barriers between two nodes.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from manifoldflow.interpolation import GraphStart, multi_start, optimise, realism_energy
from manifoldflow.realism import c_rings, density_index, spiral, two_moons

PRIORS = {"C-shaped ring": c_rings, "two moons": two_moons, "spiral": spiral}


def through(samples: Tensor) -> Callable[[Tensor, Tensor, int], Tensor]:
    """A start that goes straight to a random sample, and from there straight to the end."""

    def start(a: Tensor, b: Tensor, segments: int) -> Tensor:
        middle = samples[torch.randint(len(samples), (len(a),))][:, None]
        half = segments // 2
        first, last = (torch.linspace(0, 1, k + 1)[:, None] for k in (half, segments - half))
        return torch.cat(
            [a[:, None] + first * (middle - a[:, None]), (middle + last * (b[:, None] - middle))[:, 1:]], 1
        )

    return start


def failures(name: str, dim: int, eps: float, pairs: int, neighbours: list[int]) -> tuple[list[float], float]:
    """Shares of failed pairs (straight, graph, multi-start), and the worst ratio of the straight starts."""
    torch.manual_seed(0)
    prior = PRIORS[name](dim)
    energy = realism_energy(density_index(prior).regularised(eps), rule="ends", pieces=4)
    start, end = prior.sample((2, pairs))

    def solve(*starts: object) -> Tensor:
        return optimise(energy, start, end, starts=list(starts)).solution.energy  # type: ignore[arg-type]

    _, *graphs = multi_start(energy, prior.sample((2000,)), neighbours=neighbours)
    straight, graph = solve("linear"), solve(graphs[0])
    several = torch.stack([straight, graph, *(solve(one) for one in graphs[1:])]).min(0).values
    larger = [GraphStart(energy, prior.sample((4000,)), neighbours=n) for n in (10, 20)]
    best = torch.minimum(several, solve(*larger, *[through(prior.sample((1000,))) for _ in range(6)]))
    shares = [(e > 1.05 * best).float().mean().item() for e in (straight, graph, several)]
    return shares, (straight / best).max().item()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.01])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8, 20, 64])
    parser.add_argument("--neighbours", type=int, nargs="+", default=[10, 20, 80])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| prior | D | eps | straight fails | its worst energy / best | graph fails | multi-start fails |")
    print("|---|---|---|---|---|---|---|")
    for name in PRIORS:
        for dim in options.dims:
            for eps in options.eps:
                (straight, graph, several), worst = failures(name, dim, eps, options.pairs, options.neighbours)
                print(
                    f"| {name} | {dim} | {eps} | {straight:.3f} | {worst:.1f} | {graph:.3f} | {several:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
