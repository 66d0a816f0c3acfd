"""Interpolate two image latents of the shape that latent diffusion models use, 4 x 64 x 64, without leaving their law.

Synthetic latents stand in for a model's: any standard normal latents will do, as tensors or as numpy arrays.
"""

import torch

import manifoldflow.interpolation as mfi

start, end = torch.randn(4, 64, 64), torch.randn(4, 64, 64)
path = mfi.interpolate(
    start, end, method="matched", event_dim=3, steps=9
)  # (9, 4, 64, 64), each a standard normal draw
walks = mfi.interpolate(start, end, method="typical-bridge", event_dim=3, steps=9, samples=3)  # three random walks
sheet = mfi.grid(torch.randn(4, 4, 64, 64), 5, 5, event_dim=3)  # (5, 5, 4, 64, 64), four latents in the corners

norms = path.flatten(1).norm(dim=1)
print("norm along the path over sqrt(n):", [round(float(x) / 128, 3) for x in norms])
