"""What a training step costs, over the network's own passes and beside flow_matching."""

import argparse
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from manifoldflow.flows.matching import FlowMatching, VectorField
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

__all__ = ["best_times", "cost", "steps_of"]


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
    times = torch.rand(len(x), device=x.device)
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
        t = torch.rand(len(x), device=x.device)
        sample = path.sample(t=t, x_0=space.projx(start), x_1=x)
        v = space.proju(sample.x_t, flow.field(t, sample.x_t))
        return (v - sample.dx_t).square().mean()

    return [step]
