"""Earthquakes, their density, and three ways between places: great circle, through a flow, optimised for realism.

python docs/gallery/ring_of_fire.py [FIGURE.png [light|dark]]
"""

import sys

import torch

from manifoldflow.data import load_earth
from manifoldflow.flows import SphereFlow
from manifoldflow.steps.globe import draw_globe, paths_on_the_globe

torch.manual_seed(0)
places, flow, steps = load_earth("earthquake").float(), SphereFlow(2), 150
optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
for _ in range(steps):
    loss = -flow.log_prob(places[torch.randint(len(places), (256,))]).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()

figure = draw_globe(paths_on_the_globe(flow=flow), *sys.argv[2:])
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
