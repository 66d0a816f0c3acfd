"""How far from the middle a Gaussian's draws are: in many dimensions on a soap bubble, which a straight line leaves.

python docs/gallery/soap_bubble.py [FIGURE.png [light|dark]]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf
from manifoldflow.plots import theme

torch.manual_seed(0)
paths = {"linear": ("#d55e00", "--"), "matched": ("#56b4e9", "-")}
side = torch.linspace(-1.6, 1.6, 400)
radius = torch.hypot(side[:, None], side)
with theme(*(sys.argv[2:] or ["light"])):
    figure, axes = plt.subplots(1, 4, figsize=(10, 3.3), layout="constrained")
    for ax, n in zip(axes, (2, 8, 64, 784)):
        # The density of the norm r sqrt(n) over that of its likeliest value, in logs: (n - 1) log r - n r^2 / 2.
        log = (n - 1) * radius.log() - n * radius.square() / 2
        ax.imshow((log - log.max()).exp(), extent=(-1.6, 1.6, -1.6, 1.6), cmap="cividis", origin="lower")
        start = torch.zeros(n)
        start[0] = n**0.5
        end = start.roll(1)  # at a right angle, as two draws nearly are
        for method, (colour, dashes) in paths.items():
            points = mf.interpolate(start, end, method=method, base=mf.distributions.Gaussian(torch.zeros(n)), steps=99)
            ax.plot(*(points[:, :2] / n**0.5).T, color=colour, linestyle=dashes, linewidth=2.2, label=method)
        ax.set(title=f"n = {n}", aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    if len(sys.argv) > 1:
        figure.savefig(sys.argv[1])
