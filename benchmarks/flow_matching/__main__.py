"""Flow matching on manifolds: cost of a step, checkerboards, places on the Earth, categories, bent paths.

    python -m benchmarks.flow_matching TABLE [--data FOLDER] [--steps N] [--seeds N] [--sets ...]

TABLE is one of:

- cost: one training step over the network's own forward and backward pass, best of 60, interleaved in one process; and
  flow_matching's step of the same network, where that package is installed.
- checkerboard: held-out nats beside their least, log of half the area, on the sphere and the torus; the energy distance
  of draws by 8 geodesic steps and by the adaptive solver to draws of the target.
- earth: held-out nats of places on the Earth (the protocol of benchmarks/earth.py; FOLDER has flood.csv and fire.csv).
- rna: held-out nats of the seven torsion angles of RNA (--rna FILE).
- categories: sequences of 4 categorical variables, the toy of arXiv 2402.05841: divergence of the draws from the truth.
- dirichlet: mixtures of Dirichlet laws on the simplex, divergence from the known density.
- bent: lengths of learned paths over those of optimised ones.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from .bent_paths import bent
from .categories import categories, dirichlet
from .checkerboards import checkerboard
from .cost import cost
from .places import earth, rna

TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "cost": cost,
    "checkerboard": checkerboard,
    "earth": earth,
    "rna": rna,
    "categories": categories,
    "dirichlet": dirichlet,
    "bent": bent,
}
STEPS = {"checkerboard": 8000, "earth": 4000, "rna": 6000, "categories": 2000, "dirichlet": 2000, "bent": 1500}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, help="folder of flood.csv and fire.csv")
    parser.add_argument("--rna", type=Path, help="table of torsion angles, in degrees, columns 3 to 9")
    parser.add_argument("--sets", nargs="+", default=["earthquake", "flood", "fire"])
    parser.add_argument("--spaces", nargs="+", choices=("sphere", "torus"), default=["sphere", "torus"])
    parser.add_argument("--sizes", nargs="+", type=int, help="numbers of categories, or of parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--certified", type=int, nargs="+", default=[0], help="seeds whose models get certificates")
    parser.add_argument("--steps", type=int, help="of training; each table has its own number")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--samples", type=int, default=2000, help="behind the certificates' integral")
    parser.add_argument("--coupling", default="optimal-transport")
    parser.add_argument("--base", choices=("mixture", "kernel"), default="mixture")
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or STEPS.get(arguments.table)
    torch.set_num_threads(1)
    TABLES[arguments.table](arguments)


if __name__ == "__main__":
    main()
