"""Every method with end points that suit it, so that a new method meets every law by one line."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import Independent, Laplace, Uniform

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher


@dataclass(frozen=True)
class Case:
    method: str
    base: Any
    n: int
    event_dim: int = 1


def gaussian(dtype):
    rng = torch.Generator().manual_seed(5)
    return Gaussian(torch.randn(6, generator=rng, dtype=dtype), torch.rand(6, generator=rng, dtype=dtype) + 0.2)


def standard(dtype):
    return Gaussian(torch.zeros(6, dtype=dtype))


def vmf(dtype, n=5):
    return VonMisesFisher(torch.nn.functional.normalize(torch.arange(1.0, n + 1, dtype=dtype), dim=0), 3.0)


def dirichlet(dtype):
    return Dirichlet(torch.tensor([0.6, 1.0, 2.0, 2.0, 5.0], dtype=dtype))


def laplace(dtype):
    return Independent(Laplace(torch.zeros(4, dtype=dtype), torch.ones(4, dtype=dtype)), 1)


def uniform(dtype):
    return Independent(Uniform(-torch.ones(4, dtype=dtype), torch.ones(4, dtype=dtype)), 1)


def sphere(dtype):
    return SphericalUniform(4, dtype=dtype)


PATHS = [
    ("linear", gaussian),
    ("norm-corrected", gaussian),
    ("slerp", gaussian),
    ("slerp", vmf),
    ("geodesic", vmf),
    ("geodesic", dirichlet),
    ("matched", gaussian),
    ("matched", vmf),
    ("matched", lambda dtype: vmf(dtype, 2)),
    ("matched", sphere),
    ("matched", dirichlet),
    ("matched", laplace),
    ("optimal-transport", gaussian),
    ("optimal-transport", laplace),
    ("optimal-transport", uniform),
    ("cauchy", laplace),
    ("spherical-cauchy", standard),
]

BRIDGES = [
    ("bridge", standard),
    ("smooth-bridge", standard),
    ("langevin-bridge", standard),
    ("typical-bridge", vmf),
    ("brownian-bridge", vmf),
    ("brownian-bridge", dirichlet),
]
