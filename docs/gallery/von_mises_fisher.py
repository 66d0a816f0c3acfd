"""The density of a von Mises-Fisher distribution is highest at its mean, and in high dimension no draw is near it.

python docs/gallery/von_mises_fisher.py [FIGURE.png]
"""

import sys

import matplotlib.pyplot as plt
import torch

import manifoldflow as mf
from manifoldflow.distributions import VonMisesFisherAngle

torch.manual_seed(0)
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
angle = torch.linspace(0, torch.pi, 2001, dtype=torch.float64)
for n in (3, 30, 300, 3000):
    law = VonMisesFisherAngle(torch.tensor(float(n), dtype=torch.float64), n)
    density = law.log_prob(angle).exp()
    left.plot(angle.rad2deg(), density / density.max(), label=f"n = {n}")
left.set(title="angle to the mean at κ = n", xlabel="degrees", ylabel="density over its maximum")
left.legend(fontsize=8)

n = 784
base = mf.VonMisesFisher(torch.eye(n, dtype=torch.float64)[0], torch.tensor(float(n), dtype=torch.float64))
a, b = base.sample((2, 2000))
for method in ("geodesic", "matched"):
    middle = mf.interpolate(a, b, method=method, base=base, steps=3)[:, 1, 0].acos().rad2deg()
    right.hist(middle, bins=40, density=True, alpha=0.6, label=f"middle, {method}")
right.plot(angle.rad2deg(), base.angle.log_prob(angle).exp() * torch.pi / 180, "k", label="law of a draw")
right.set(title="n = 784, κ = n", xlabel="degrees to the mean", xlim=(36, 70))
right.legend(fontsize=7, loc="upper right")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
