"""Where draws of a base are, and where straight lines, great circles and matched paths between them run.

python docs/gallery/shells.py [FIGURE.png]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf

torch.manual_seed(0)
times = torch.linspace(0, 1, 41)
figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.5), sharey=True)
for axis, n in zip(axes, (8, 64, 784)):
    base = mf.distributions.Gaussian(torch.zeros(n))
    low, high = base.sample((4000,)).norm(dim=-1).quantile(torch.tensor([0.05, 0.95])) / n**0.5
    axis.axhspan(low, high, color="0.9", label="90 % of draws")
    start, end = base.sample((2, 400))
    for method in ("linear", "slerp", "matched"):
        points = mf.interpolate(start, end, method=method, base=base, steps=41)
        bands = (points.norm(dim=-1) / n**0.5).quantile(torch.tensor([0.05, 0.5, 0.95]), dim=0)
        line = axis.plot(times, bands[1], label=method)[0]
        axis.plot(times, bands[::2].T, color=line.get_color(), linestyle=":", linewidth=1)
    axis.set(title=f"n = {n}", xlabel="t")
axes[0].set_ylabel("norm / √n")
figure.legend(*axes[0].get_legend_handles_labels(), fontsize=7, loc="outside right center")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
