"""A flow of two angles: geodesics of the torus, and matched paths through the flow, which keep to the data.

python docs/gallery/torus_flow.py [FIGURE.png [light|dark]]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf
from manifoldflow.flows import TorusFlow
from manifoldflow.plots import plot_torus, theme

torch.manual_seed(0)


def draws(count: int) -> torch.Tensor:
    """Angles along a wave that closes around the torus, `(count, 2)`."""
    first = (2 * torch.rand(count) - 1) * torch.pi
    return torch.stack([first, 1.6 * torch.sin(first) + 0.25 * torch.randn(count)], -1)


flow, steps = TorusFlow(2, transforms=4, passes="autoregressive", hidden=32), 250
optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
for _ in range(steps):
    loss = -flow.log_prob(draws(256)).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()

first = torch.tensor([-2.6, 0.5, -0.9])
start, end = (torch.stack([t, 1.6 * t.sin()], -1) for t in (first, first + torch.tensor([1.6, 2.4, 1.4])))
with theme(*(sys.argv[2:] or ["light"])), torch.no_grad():
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.2), layout="constrained")
    titles = {"geodesic": "geodesics of the torus", "matched": "matched paths, through the flow"}
    for ax, (method, title) in zip(axes, titles.items()):
        paths = mf.interpolate(start, end, method=method, base=flow, steps=200)
        plot_torus(draws(400), density=flow.distribution(), paths=list(paths), ax=ax, s=3, alpha=0.5, color="#ffb000")
        ax.set_title(title)
    if len(sys.argv) > 1:
        figure.savefig(sys.argv[1])
