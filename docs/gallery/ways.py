"""Many ways between the same two points of a sphere: geodesic, matched, and random bridges.

python docs/gallery/ways.py [FIGURE.png]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf

torch.manual_seed(3)
mean = torch.nn.functional.normalize(torch.tensor([0.3, -0.8, 0.6]), dim=0)
base = mf.VonMisesFisher(mean, torch.tensor(4.0))
start, end = torch.nn.functional.normalize(torch.tensor([[-0.55, -0.45, 0.75], [0.8, 0.0, 0.25]]), dim=-1)

u, v = torch.meshgrid(torch.linspace(0, 2 * torch.pi, 90), torch.linspace(0, torch.pi, 45), indexing="ij")
surface = torch.stack([u.cos() * v.sin(), u.sin() * v.sin(), v.cos()], -1)
shade = base.log_prob(surface).exp()

figure = plt.figure(figsize=(7.5, 3.6))
panels = {
    "geodesic and matched": {"geodesic": 1, "matched": 1},
    "random bridges": {"typical-bridge": 3, "brownian-bridge": 3},
}
for column, (title, methods) in enumerate(panels.items()):
    axis = figure.add_subplot(1, 2, column + 1, projection="3d", computed_zorder=False)
    colors = plt.get_cmap("Greys")(0.1 + 0.5 * (shade / shade.max()).numpy())
    axis.plot_surface(*surface.unbind(-1), facecolors=colors, shade=False, rstride=1, cstride=1, zorder=0)
    for color, (method, count) in zip(("C0", "C3"), methods.items()):
        options = {"samples": count} if count > 1 else {}
        if method == "brownian-bridge":
            options["horizon"] = 0.15
        curves = mf.interpolate(start, end, method=method, base=base, steps=100, **options).reshape(-1, 100, 3)
        for i, curve in enumerate(1.01 * curves):
            axis.plot(*curve.T, color=color, linewidth=1.2, label=method if i == 0 else None, zorder=2)
    axis.view_init(elev=35, azim=-70)
    axis.set_box_aspect((1, 1, 1), zoom=1.4)
    axis.set_axis_off()
    axis.set_title(title)
    axis.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, -0.12))
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
