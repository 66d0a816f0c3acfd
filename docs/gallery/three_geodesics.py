"""Two pairs of compositions, three metrics of the simplex, and what is likely under a Dirichlet law.

python docs/gallery/three_geodesics.py [FIGURE.png [light|dark]]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf
from manifoldflow.plots import plot_simplex, theme

law = mf.Dirichlet(torch.tensor([4.0, 2.5, 2.0]))
pairs = torch.tensor([[[0.93, 0.05, 0.02], [0.03, 0.12, 0.85]], [[0.70, 0.02, 0.28], [0.02, 0.90, 0.08]]])
times = torch.linspace(0, 1, 200)
titles = {"euclidean": "Euclidean", "fisher_rao": "Fisher-Rao", "aitchison": "Aitchison"}
with theme(*(sys.argv[2:] or ["light"])):
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained")
    for ax, (metric, title) in zip(axes, titles.items()):
        space = mf.Simplex(2, metric=metric)
        paths = [space.metric.geodesic(start, end)(times) for start, end in pairs]
        plot_simplex(pairs.flatten(0, 1), density=law, paths=paths, names=("sand", "silt", "clay"), ax=ax, s=24)
        ax.set_title(title)
    if len(sys.argv) > 1:
        figure.savefig(sys.argv[1])
