"""The unit spheres of the 1-norm and the 2-norm, and the square root that maps one onto the other.

python docs/gallery/unit_spheres.py [FIGURE.png]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf

angle = torch.linspace(0, 2 * torch.pi, 401)
circle = torch.stack([angle.cos(), angle.sin()])
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.3))
for p, color in ((1, "C0"), (2, "C1")):
    ball = circle / circle.norm(p=p, dim=0)
    left.plot(*ball, color=color, alpha=0.3)
    left.plot(*ball[:, :101], color=color, linewidth=2.5, label=f"p = {p}")
for share in torch.linspace(0.05, 0.95, 7):
    s = torch.stack([share, 1 - share])
    left.annotate("", xy=s.sqrt().tolist(), xytext=s.tolist(), arrowprops={"arrowstyle": "->", "color": "0.5"})
left.set(title="|s₁|ᵖ + |s₂|ᵖ = 1, and s → √s", aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
left.legend(loc="lower left", fontsize=8)

start, end = torch.tensor([[0.90, 0.08, 0.02], [0.02, 0.28, 0.70]])
corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
for metric in ("fisher_rao", "euclidean", "aitchison"):
    points = mf.Simplex(2, metric=metric).metric.geodesic(start, end)(torch.linspace(0, 1, 100))
    right.plot(*(points @ corners).T, label=metric.replace("_", "-").title())
right.add_patch(plt.Polygon(corners, fill=False, color="0.6"))
right.set(title="one pair, three metrics of the simplex", aspect="equal", xticks=[], yticks=[])
right.set(xlim=(-0.05, 1.05), ylim=(-0.05, 0.92))
right.set_axis_off()
right.legend(loc="upper left", fontsize=8)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
