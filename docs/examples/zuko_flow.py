"""A flow of one's own, trained with zuko: paths in its base, seen in data. Needs zuko.

python docs/examples/zuko_flow.py
"""

import torch
import zuko

import manifoldflow as mf
from manifoldflow.flows import ZukoTransform, make_base
from manifoldflow.interpolation import interpolate_all

torch.manual_seed(0)


def moons(count: int) -> torch.Tensor:
    """Two half circles that reach into each other, `(count, 2)`."""
    angle, side = torch.rand(count) * torch.pi, torch.randint(2, (count,))
    x = torch.stack([angle.cos() * (1 - 2 * side) + side - 0.5, angle.sin() * (1 - 2 * side) + 0.5 * side - 0.25], -1)
    return x + 0.08 * torch.randn_like(x)


flow = zuko.flows.NSF(2, transforms=3, hidden_features=(64, 64))
optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
for _ in range(250):
    loss = -flow().log_prob(moons(256)).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

transform = flow().transform  # from data x to z, standard normal
with torch.no_grad():
    start, end = moons(200), moons(200)
    straight = mf.interpolate(start, end, method="linear", steps=21)
    paths = interpolate_all(transform(start), transform(end), ["linear", "matched"], decode=transform.inv, steps=21)
    for name, points in {"straight in the data": straight, **paths}.items():
        print(f"{name:20s} log density halfway {flow().log_prob(points[:, 10]).median():.2f}")

# The same flow as a `ManifoldFlow`, with everything that those have: other bases, charts, training, evaluation.
chart, base, _ = make_base("gaussian", 2)
whole, x = mf.ManifoldFlow(ZukoTransform(flow), chart, base), moons(100)
with torch.no_grad():
    difference = (whole.log_prob(x) - flow().log_prob(x)).abs().max()
print(f"largest difference of the log densities {float(difference):.0e}")
