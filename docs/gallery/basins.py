"""Optimised paths on a spiral: the straight line, what a local search makes of it, and the graph's start.

python docs/gallery/basins.py [FIGURE.png]
"""

import sys

import matplotlib.pyplot as plt
import torch

from manifoldflow.interpolation import GraphStart, optimise, realism_energy
from manifoldflow.realism import density_index, spiral

torch.manual_seed(0)
prior = spiral(components=48, width=0.5)
index = density_index(prior).regularised(0.1)
energy = realism_energy(index, pieces=4)
start, end = (prior.locs[k : k + 1] for k in (24, 36))
axis_values = torch.linspace(-8, 8, 161)
with torch.no_grad():
    shade = index(torch.cartesian_prod(axis_values, axis_values)).reshape(161, 161)

figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True)
graph = GraphStart(energy, prior.sample((800,)))
times = torch.linspace(0, 1, 301)
for axis, (title, starts) in zip(axes, {"straight start": "linear", "graph start": graph}.items()):
    path = optimise(energy, start, end, segments=60, starts=starts)
    axis.imshow(shade.T, extent=(-8, 8, -8, 8), origin="lower", vmax=1.6)
    axis.plot(*path(times)[0].detach().T, color="C3")
    axis.plot(*torch.cat([start, end]).T, "o", color="C3")
    axis.set(title=f"{title}: energy {path.solution.energy.item():.1f}", aspect="equal")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
