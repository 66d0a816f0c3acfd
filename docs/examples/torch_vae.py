"""A variational autoencoder of one's own in torch: paths between the codes of real images, and how typical they are.

python docs/examples/torch_vae.py
"""

import torch
from torch import nn

import manifoldflow as mf
from manifoldflow.data import load_images
from manifoldflow.interpolation import interpolate_all
from manifoldflow.realism import typicality

torch.manual_seed(0)
x = load_images("digits").images.float().flatten(1) / 16  # 1,797 images of 64 pixels, in [0, 1]
train, test = x[:1500], x[1500:]

encoder = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 2 * 16))
decoder = nn.Sequential(nn.Linear(16, 128), nn.SiLU(), nn.Linear(128, 64), nn.Sigmoid())
optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
for _ in range(600):
    batch = train[torch.randint(len(train), (128,))]
    mean, log_var = encoder(batch).chunk(2, -1)
    z = mean + (log_var / 2).exp() * torch.randn_like(mean)
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(-1)
    loss = (20 * (decoder(z) - batch).square().sum(-1) + kl).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

with torch.no_grad():
    mean, log_var = encoder(test).chunk(2, -1)
    codes = mean + (log_var / 2).exp() * torch.randn_like(mean)  # draws of the posterior; its means lie nearer to zero

prior = mf.distributions.Gaussian(torch.zeros(16))
start, end = codes[:100], codes[100:200]
paths = interpolate_all(start, end, ["linear", "slerp", "matched"], base=prior, steps=9)
for name, points in paths.items():
    print(f"{name:8s} typicality halfway {typicality(prior, points[:, 4]).mean():.3f}; draws of the prior have 0.5")

with torch.no_grad():
    images = mf.interpolate(start, end, method="matched", base=prior, decode=decoder, steps=9).reshape(100, 9, 8, 8)
print("images", tuple(images.shape))
