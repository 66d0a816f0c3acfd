"""Checkerboards on the sphere and the torus: how near to the least nats, and draws by few steps."""

import argparse
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manifoldflow.evaluation import certify
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Hypersphere, Torus

from .training import train

__all__ = ["checkerboard", "energy_distance", "sphere_board", "torus_board"]


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


BOARDS: dict[str, tuple[Any, Callable[[int], Tensor]]] = {
    "sphere": (Hypersphere(2), sphere_board),
    "torus": (Torus(2), torus_board),
}


def checkerboard(arguments: argparse.Namespace) -> None:
    """Print nats and two-sample statistics."""
    print("| space | nats | least | solver halved | seconds | 8 geodesic steps | adaptive | evaluations | target |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.spaces:
        torch.manual_seed(0)
        space, board = BOARDS[name]
        field = VectorField(space, hidden=arguments.hidden, layers=4, waves=256, wave_number=10.0)
        flow = FlowMatching(space, field=field, coupling=arguments.coupling)
        seconds = train(flow, partial(board, arguments.batch), arguments.steps, rate=6e-3)
        flow.solver = Solver(tolerance=1e-4)
        found = certify(flow.distribution(), board(2000), train=board(100), samples=arguments.samples)
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
