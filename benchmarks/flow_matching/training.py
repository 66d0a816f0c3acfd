"""The training loop of every table."""

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from manifoldflow.flows.matching import FlowMatching

__all__ = ["batches", "train"]


def train(
    flow: FlowMatching, draw: Callable[[], Tensor], steps: int, *, rate: float = 2e-3, decay: float = 0.998
) -> float:
    """Adam with a cosine schedule; leaves the averaged weights in the flow. Returns the seconds of processor time."""
    optimiser = torch.optim.Adam(flow.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    average = copy.deepcopy(flow.field)
    began = time.process_time()
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
    return time.process_time() - began


def batches(points: Tensor, size: int) -> Callable[[], Tensor]:
    """Random rows, a fresh batch at every call."""
    return lambda: points[torch.randint(len(points), (size,))]
