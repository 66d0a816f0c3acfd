"""Densities on spheres and their moments by quadrature, for tests of samplers."""

import math

import numpy as np
import torch

DOUBLE = {"dtype": torch.float64}


def moments(x):
    """Coordinates and their products (m, n + n(n+1)/2), without the last, which the others fix on a sphere."""
    rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1])[:, :-1]
    return torch.cat([x, x[..., rows] * x[..., columns]], -1)


def sphere_grid():
    """Points of S^2 and weights of their area."""
    z, w = np.polynomial.legendre.leggauss(80)
    phi = np.linspace(0, 2 * math.pi, 160, endpoint=False)
    z, phi = np.meshgrid(z, phi, indexing="ij")
    r = np.sqrt(1 - z**2)
    points = np.stack([r * np.cos(phi), r * np.sin(phi), z], -1).reshape(-1, 3)
    return torch.from_numpy(points), torch.from_numpy(np.repeat(w, 160))


def three_sphere_grid():
    """Points of S^3 as pairs of circles of squared radii u and 1 - u, u being uniform."""
    u, w = np.polynomial.legendre.leggauss(30)
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    u, a, b = np.meshgrid((u + 1) / 2, angle, angle, indexing="ij")
    r, s = np.sqrt(u), np.sqrt(1 - u)
    points = np.stack([r * np.cos(a), r * np.sin(a), s * np.cos(b), s * np.sin(b)], -1).reshape(-1, 4)
    return torch.from_numpy(points), torch.from_numpy(np.repeat(w, 1600))


def quadrature(log_density, grid):
    points, weights = grid
    weights = weights * (log_density(points) - log_density(points).max()).exp()
    return (weights[:, None] * moments(points)).sum(0) / weights.sum()


MATRIX = torch.tensor([[2.0, 1.0, 0.0], [1.0, -1.0, 0.5], [0.0, 0.5, -1.0]], **DOUBLE)
AXES = torch.diag(torch.tensor([3.0, 1.0, 0.0, -2.0], **DOUBLE))
MODES = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], **DOUBLE) / math.sqrt(3)
SHARES = torch.tensor([0.4, 0.3, 0.2, 0.1], **DOUBLE)
CONCENTRATION = torch.tensor([2.0, 1.0, 3.0, 0.8], **DOUBLE)


def fisher_bingham(x):
    return x[..., 0] + ((x @ MATRIX) * x).sum(-1)


def four_modes(x):
    return torch.logsumexp(SHARES.log() + 2.5 * x @ MODES.T, -1)


def axes(x):
    return ((x @ AXES) * x).sum(-1)
