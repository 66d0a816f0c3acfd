r"""Motion: the coordinates in which the geodesic kernels move a latent site.

Every curved site moves on unit spheres, whose geodesics are great circles: a direction on its own sphere, an angle on
the circle of its cosine and sine, a point s of the simplex on the sphere of the square roots
:math:`x_i = \sqrt{s_i}`, where the Fisher-Rao metric is the round one up to a factor; a point of a product space on
those of its factors. Reflecting a path at the edge of the positive orthant is the same as letting it go on and taking
:math:`s_i = x_i^2`.
"""

import math
from functools import singledispatch
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import ExpandedDistribution, MaskedDistribution
from torch import Tensor
from torch.distributions import Independent, MixtureSameFamily, Transform
from torch.distributions import VonMises as TorchVonMises
from torch.distributions.constraints import real_vector

from .._geomstats import Manifold
from ..distributions import InChart
from ..manifolds import Euclidean, Hypersphere, Product, Simplex, Torus
from .reparam import space_of

__all__ = ["Circles", "Directions", "Flat", "Joined", "Motion", "Part", "Roots", "motion_of"]

Part = tuple[int, bool]


class Motion(Transform):
    """From the points of a site to the coordinates in which they move, along the last dimension.

    `log_abs_det_jacobian(point, coordinates)` corrects the density: the site's own reference measure becomes that of
    the spheres and flat parts, up to a constant.
    """

    domain = real_vector
    codomain = real_vector
    bijective = True

    def parts(self, size: int) -> tuple[Part, ...]:
        """How `size` coordinates divide, in order: numbers of coordinates, each with whether they are of a sphere."""
        return ((size, True),)

    def random(self, point: Tensor) -> Tensor:
        """A random point of the shape, dtype and device of `point`, far from every edge."""
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.zeros_like(y[..., 0])


class Directions(Motion):
    """Unit vectors, which are their own coordinates."""

    def _call(self, x: Tensor) -> Tensor:
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        return y

    def random(self, point: Tensor) -> Tensor:
        return torch.nn.functional.normalize(torch.randn_like(point), dim=-1)


class Circles(Motion):
    """Angles in [-pi, pi], each as its cosine and sine; a site of scalar angles gains a dimension."""

    def __init__(self, *, vectors: bool = True) -> None:
        super().__init__()
        self.vectors = vectors

    def _call(self, x: Tensor) -> Tensor:
        pairs = torch.stack([x.cos(), x.sin()], -1)
        return pairs.flatten(-2) if self.vectors else pairs

    def _inverse(self, y: Tensor) -> Tensor:
        cosine, sine = (y.unflatten(-1, (-1, 2)) if self.vectors else y).unbind(-1)
        return torch.atan2(sine, cosine)

    def parts(self, size: int) -> tuple[Part, ...]:
        return ((2, True),) * (size // 2)

    def random(self, point: Tensor) -> Tensor:
        return math.pi * (2 * torch.rand_like(point) - 1)


class Roots(Motion):
    """Points of the simplex by their square roots; densities with respect to the first d coordinates."""

    def _call(self, x: Tensor) -> Tensor:
        return x.sqrt()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.square().clamp_min(torch.finfo(y.dtype).tiny)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        # ds_1 .. ds_d = 2^d prod_{i <= d + 1} x_i dA(x), dA being the area.
        return -y.abs().log().sum(-1)

    def random(self, point: Tensor) -> Tensor:
        return torch.softmax(torch.rand_like(point), -1)


class Flat(Motion):
    """Vectors of R^n, which are their own coordinates and move in straight lines."""

    def _call(self, x: Tensor) -> Tensor:
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        return y

    def parts(self, size: int) -> tuple[Part, ...]:
        return ((size, False),)

    def random(self, point: Tensor) -> Tensor:
        return 4 * torch.rand_like(point) - 2


class Joined(Motion):
    """Points of a product space, each factor in its own coordinates, one after the other."""

    def __init__(self, space: Product, motions: list[Motion]) -> None:
        super().__init__()
        self.sizes = list(space.sizes)
        self.motions = motions
        # Coordinates of the factors, which may be more than their points have.
        self.widths = [m(m.random(torch.zeros(n))).shape[-1] for m, n in zip(motions, self.sizes)]

    def _call(self, x: Tensor) -> Tensor:
        return torch.cat([m._call(part) for m, part in zip(self.motions, x.split(self.sizes, -1))], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.cat([m._inverse(part) for m, part in zip(self.motions, y.split(self.widths, -1))], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        blocks = zip(self.motions, x.split(self.sizes, -1), y.split(self.widths, -1))
        return torch.stack([m.log_abs_det_jacobian(point, part) for m, point, part in blocks]).sum(0)

    def parts(self, size: int) -> tuple[Part, ...]:
        return tuple(part for m, width in zip(self.motions, self.widths) for part in m.parts(width))

    def random(self, point: Tensor) -> Tensor:
        return torch.cat([m.random(part) for m, part in zip(self.motions, point.split(self.sizes, -1))], -1)


@singledispatch
def motion_of(distribution: Any) -> Motion | None:
    """How a site with this distribution moves; None for sites that move unconstrained, as in Pyro's own kernels.

    Asked are its `manifold`, if it has one, and its support. `motion_of.register` teaches the kernels a new kind.

    >>> motion_of(dist.VonMises(0.0, 1.0))
    Circles()
    >>> motion_of(dist.Normal(0.0, 1.0)) is None
    True
    """
    try:
        space = getattr(distribution, "manifold", None)
    except NotImplementedError:  # a base distribution that says nothing
        space = None
    motion = _motion_on(space)
    if motion is None and distribution.event_shape:
        motion = _motion_on(space_of(distribution.support, distribution.event_shape[-1]))
    return motion


@motion_of.register(Independent)
@motion_of.register(ExpandedDistribution)
@motion_of.register(MaskedDistribution)
def _(distribution: Any) -> Motion | None:
    return motion_of(distribution.base_dist)


@motion_of.register
def _(distribution: InChart) -> None:
    return None  # its points are coordinates, not points of the base's manifold


@motion_of.register
def _(distribution: MixtureSameFamily) -> Motion | None:
    return motion_of(distribution.component_distribution)


# The supports of these are all the reals, although their densities are periodic.
@motion_of.register
def _(distribution: TorchVonMises) -> Motion:
    return Circles(vectors=False)


@motion_of.register(dist.SineBivariateVonMises)
@motion_of.register(dist.SineSkewed)
def _(distribution: Any) -> Motion:
    return Circles()


@singledispatch
def _motion_on(space: Manifold | None) -> Motion | None:
    return None


@_motion_on.register
def _(space: Hypersphere) -> Motion:
    return Directions()


@_motion_on.register
def _(space: Torus) -> Motion:
    return Circles()


@_motion_on.register
def _(space: Simplex) -> Motion:
    return Roots()


@_motion_on.register
def _(space: Euclidean) -> Motion:
    return Flat()


@_motion_on.register
def _(space: Product) -> Motion | None:
    motions = [_motion_on(factor) for factor in space.factors]
    known = [motion for motion in motions if motion is not None]
    return Joined(space, known) if len(known) == len(motions) else None
