"""Surfaces whose geodesics are known: decoders, end points and exact lengths."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_bvp
from torch import Tensor

from manifoldflow.interpolation import Conformal, CurveEnergy, GraphStart
from manifoldflow.manifolds import Hypersphere, Simplex

DOUBLE = torch.float64


@dataclass(frozen=True)
class Case:
    """A geodesic problem with a known answer."""

    energy: CurveEnergy
    start: Tensor
    end: Tensor
    length: Tensor
    starts: Any = "linear"
    smooth: bool = True


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))


def half_sphere() -> Case:
    """The graph of sqrt(1 - u^2 - v^2) over the disk: great circles."""

    def lift(z: Tensor) -> Tensor:
        return torch.cat([z, (1 - z.square().sum(-1, keepdim=True)).sqrt()], -1)

    start = torch.tensor([[0.7, 0.1], [-0.6, 0.5], [0.1, -0.75]], dtype=DOUBLE)
    end = torch.tensor([[-0.5, 0.6], [0.5, 0.5], [0.6, 0.2]], dtype=DOUBLE)
    return Case(CurveEnergy(decoder=lift), start, end, _angle(lift(start), lift(end)))


def cut_out_disk() -> Case:
    """The plane with a costly disk of radius 1: tangents and an arc."""
    start = torch.tensor([[-2.0, 0.3], [-1.5, -0.4], [-2.0, 1.8]], dtype=DOUBLE)
    end = torch.tensor([[2.0, 0.2], [1.2, 0.5], [2.0, 1.6]], dtype=DOUBLE)

    def cost(z: Tensor) -> Tensor:
        # Continuously differentiable; the cheapest way round is at radius 1 - 1 / (2 * 2000).
        depth = (1 - z.square().sum(-1).clamp(min=1e-12).sqrt()).clamp(min=0)
        return 1 + 2000 * depth.square()

    straight = (end - start).norm(dim=-1)
    nearest = (start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).abs() / straight
    a, b = start.norm(dim=-1), end.norm(dim=-1)
    turn = _angle(start / a[:, None], end / b[:, None]) - (1 / a).acos() - (1 / b).acos()
    around = (a.square() - 1).sqrt() + (b.square() - 1).sqrt() + turn
    energy = CurveEnergy(Conformal(cost))
    # The straight start goes through the disk and may leave it on the longer side; the graph knows the shorter one.
    torch.manual_seed(0)
    graph = GraphStart(energy, 5 * torch.rand(1500, 2, dtype=DOUBLE) - 2.5)
    length = torch.where(nearest < 1, around, straight)
    return Case(energy, start, end, length, starts=graph, smooth=False)


def torus_lift(z: Tensor) -> Tensor:
    """The torus with radii 2 and 1 as a surface of revolution, z = (latitude, longitude)."""
    radius = 2 + z[..., 0].cos()
    return torch.stack([radius * z[..., 1].cos(), radius * z[..., 1].sin(), z[..., 0].sin()], -1)


def surface_of_revolution() -> Case:
    """A torus; exact lengths from its geodesic equation, solved as a boundary-value problem."""
    start = torch.tensor([[-0.5, 0.0], [0.3, 0.2], [-0.9, -0.3]], dtype=DOUBLE)
    end = torch.tensor([[0.8, 0.9], [1.2, -0.8], [-0.2, 1.0]], dtype=DOUBLE)
    lengths = [_torus_length(a, b) for a, b in zip(start.numpy(), end.numpy())]
    return Case(CurveEnergy(decoder=torus_lift), start, end, torch.tensor(lengths, dtype=DOUBLE))


def _torus_length(a: np.ndarray, b: np.ndarray) -> float:
    def field(_: np.ndarray, y: np.ndarray) -> np.ndarray:
        u, _, du, dv = y
        radius, slope = 2 + np.cos(u), -np.sin(u)
        return np.stack([du, dv, radius * slope * dv**2, -2 * slope / radius * du * dv])

    t = np.linspace(0, 1, 50)
    guess = np.concatenate([np.outer(a, 1 - t) + np.outer(b, t), np.outer(b - a, np.ones_like(t))])
    found = solve_bvp(field, lambda p, q: np.concatenate([p[:2] - a, q[:2] - b]), t, guess, tol=1e-10, max_nodes=10**5)
    assert found.success
    u, _, du, dv = found.sol(0.0)
    return math.sqrt(du**2 + ((2 + math.cos(u)) * dv) ** 2)  # the speed is constant


def embedded_sphere() -> Case:
    """The sphere S^3 as a space, embedded in R^10 by an isometry: great circles again."""
    torch.manual_seed(1)
    points = torch.nn.functional.normalize(torch.randn(2, 4, 4, dtype=DOUBLE), dim=-1)
    frame = torch.linalg.qr(torch.randn(10, 4, dtype=DOUBLE)).Q
    energy = CurveEnergy(decoder=lambda s: torch.cat([s @ frame.T, torch.ones_like(s)], -1), space=Hypersphere(3))
    return Case(energy, points[0], points[1], _angle(points[0], points[1]))


def fisher_rao() -> Case:
    """The simplex with its own metric."""
    torch.manual_seed(2)
    space = Simplex(4)
    points = torch.distributions.Dirichlet(torch.full((5,), 0.7, dtype=DOUBLE)).sample((2, 4))
    return Case(CurveEnergy(space=space), points[0], points[1], space.metric.dist(points[0], points[1]))


CASES: dict[str, Callable[[], Case]] = {
    "half sphere": half_sphere,
    "cut-out disk": cut_out_disk,
    "surface of revolution": surface_of_revolution,
    "embedded hypersphere": embedded_sphere,
    "Fisher-Rao simplex": fisher_rao,
}
