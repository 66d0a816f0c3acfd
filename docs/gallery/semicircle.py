"""A prior along a half circle: a straight line leaves its draws, the optimised path goes where realism is high.

python docs/gallery/semicircle.py [FIGURE.png [light|dark]]
"""

import sys

import matplotlib.pyplot as plt
import torch

from manifoldflow.interpolation import GraphStart, optimise, realism_energy
from manifoldflow.plots import theme
from manifoldflow.realism import density_index, semicircle

torch.manual_seed(0)
prior = semicircle(2)
index = density_index(prior)
energy = realism_energy(index.regularised(0.05), pieces=4)
start, end = torch.tensor([[3.5, 6.5]]), torch.tensor([[3.5, -6.5]])
best = optimise(energy, start, end, segments=60, starts=GraphStart(energy, prior.sample((800,))))
times = torch.linspace(0, 1, 200)
with torch.no_grad():
    paths = {"straight": start + times[:, None] * (end - start), "optimised": best(times)[0]}
    across, up = torch.linspace(-5, 9, 200), torch.linspace(-10, 10, 260)
    shade = index(torch.cartesian_prod(up, across).flip(-1)).reshape(260, 200)
    realism = {name: index(points) for name, points in paths.items()}

colours = {"straight": "#d55e00", "optimised": "#56b4e9"}
with theme(*(sys.argv[2:] or ["light"])):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4), layout="constrained", width_ratios=(3, 4))
    picture = left.imshow(shade, extent=(-5, 9, -10, 10), origin="lower", cmap="cividis", vmin=0, vmax=1)
    left.scatter(*prior.sample((300,)).T, s=4, color="#ffb000", alpha=0.6, linewidths=0)
    for name, points in paths.items():
        left.plot(*points.T, color=colours[name], linewidth=2.2)
        right.plot(times, realism[name], color=colours[name], linewidth=2.2, label=name)
    left.set(title="realism index", xticks=[], yticks=[], xlim=(-5, 9), ylim=(-10, 10))
    figure.colorbar(picture, ax=left, shrink=0.7)
    right.set(title="realism along the path", xlabel="t", ylim=(0, 1))
    right.legend(frameon=False)
    if len(sys.argv) > 1:
        figure.savefig(sys.argv[1])
