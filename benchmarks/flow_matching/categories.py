"""Laws on simplices: sequences of categories, whose points are vertices, and mixtures of Dirichlet laws."""

import argparse
import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily

from manifoldflow.distributions import Dirichlet
from manifoldflow.flows.matching import FlowMatching, Solver, VectorField
from manifoldflow.manifolds import Product, Simplex

from .training import train

__all__ = ["categories", "dirichlet"]

LENGTH = 4
DRAWS = 100_000


def categories(arguments: argparse.Namespace) -> None:
    """Print the divergence of draws from the truth: sequences of 4 independent categories.

    The truth as in the public code of arXiv 2402.05841: probabilities are the softmax of uniform numbers. The figure
    is the divergence of the shares among the draws from the truth, a mean over the positions.
    """
    print("| categories | flow matching | draws of the truth | equal shares | undecided draws | seconds |")
    print("|---|---|---|---|---|---|")
    for count in arguments.sizes or (20, 40, 80, 160):
        torch.manual_seed(0)
        truth = torch.rand(LENGTH, count).softmax(-1)
        space = Product([Simplex(count - 1)] * LENGTH)
        field = VectorField(space, hidden=2 * arguments.hidden, layers=3)
        flow = FlowMatching(space, field=field, solver=Solver("geodesic-midpoint", steps=20))
        seconds = train(flow, lambda: one_hot(truth, arguments.batch), arguments.steps)  # noqa: B023 (used at once)
        with torch.no_grad():
            drawn = torch.cat([flow.sample((DRAWS // 20,)) for _ in range(20)]).unflatten(-1, (LENGTH, count))
        shares = torch.nn.functional.one_hot(drawn.argmax(-1), count).float().mean(0)
        ideal = one_hot(truth, DRAWS).unflatten(-1, (LENGTH, count)).mean(0)
        equal = torch.full_like(truth, 1 / count)
        figures = " | ".join(f"{divergence_of(p, truth):.5f}" for p in (shares, ideal, equal))
        undecided = float((drawn.amax(-1) < 0.5).float().mean())
        print(f"| {count} | {figures} | {undecided:.4f} | {seconds:.0f} |", flush=True)


def one_hot(truth: Tensor, count: int) -> Tensor:
    """Sequences as vertices, flat."""
    drawn = Categorical(truth).sample((count,))
    return torch.nn.functional.one_hot(drawn, truth.shape[-1]).float().flatten(1)


def divergence_of(shares: Tensor, truth: Tensor) -> float:
    """Kullback and Leibler's, of shares from probabilities; a mean over rows."""
    return float((torch.xlogy(shares, shares) - shares * truth.log()).sum(-1).mean())


def dirichlet(arguments: argparse.Namespace) -> None:
    """Print the divergence of what was learned from mixtures of four Dirichlet laws."""
    print("| parts | divergence from the truth | of the base | evaluations | seconds |")
    print("|---|---|---|---|---|")
    for count in arguments.sizes or (3, 10, 17):
        torch.manual_seed(0)
        target = mixture(count)
        space = Simplex(count - 1)
        flow = FlowMatching(space, field=VectorField(space, hidden=arguments.hidden), coupling=arguments.coupling)
        seconds = train(flow, lambda: target.sample((arguments.batch,)), arguments.steps)  # noqa: B023 (used at once)
        flow.solver = Solver(tolerance=1e-4)
        x = target.sample((1000,))
        with torch.no_grad():
            truth = target.log_prob(x)
            gaps = [truth - flow.log_prob(x), truth - flow.base.log_prob(x)]
        figures = " | ".join(f"{gap.mean():.3f} ± {gap.std() / math.sqrt(len(gap)):.3f}" for gap in gaps)
        print(f"| {count} | {figures} | {flow.evaluations} | {seconds:.0f} |", flush=True)


def mixture(parts: int) -> Any:
    """Four Dirichlet laws of equal weight, each about a centre of its own."""
    centres = Dirichlet(torch.ones(parts)).sample((4,))
    return MixtureSameFamily(Categorical(torch.ones(4)), Dirichlet(1 + 4 * parts * centres))
