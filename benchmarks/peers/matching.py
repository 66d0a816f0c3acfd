"""A training step of flow matching beside flow_matching's, and beside the network's own forward and backward pass."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.flow_matching.cost import steps_of
from manifoldflow.flows.matching import FlowMatching, VectorField
from manifoldflow.manifolds import Hypersphere, Product, Simplex, Torus

from .case import Case, Goal, Setting

__all__ = ["cases"]

PEER = "flow_matching"


def step(space: Any, count: int, hidden: int, device: str) -> dict[str, Callable[[], object]]:
    """Loss and backward pass."""
    flow = FlowMatching(space, field=VectorField(space, hidden=hidden)).to(device)
    losses = steps_of(flow, space.random_point(count, dtype=torch.float32, device=device))

    def run(loss: Callable[[], torch.Tensor]) -> None:
        flow.zero_grad()
        loss().backward()

    return {name: partial(run, loss) for name, loss in zip(("ours", "floor", PEER), losses)}


def cases(setting: Setting) -> Iterator[Case]:
    """Spheres and tori, which the peer has, and spaces that it has not."""
    spaces = (Hypersphere(2), Hypersphere(7), Torus(2), Simplex(3), Product([Hypersphere(2), Torus(1)]))
    count, hidden = setting.pick((1024, 128), (8, 4))
    for space in spaces:
        peers = (PEER,) if isinstance(space, (Hypersphere, Torus)) else ()
        goals = (Goal("ours / floor", at_most=1.3), *(Goal(f"{name} / ours", at_least=1.0) for name in peers))
        yield Case(
            "Flow matching",
            f"a training step, {space}, batch {count:,}",
            partial(step, space, count, hidden, setting.device),
            peers,
            "the network's own forward and backward pass",
            goals,
        )
