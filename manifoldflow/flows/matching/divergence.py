r"""Divergence of a tangent field, and what turns Euclidean volume on a space into its Riemannian volume.

The divergence of a field depends on the measure only. With respect to the volume that a space inherits from its
ambient coordinates it is the trace :math:`\sum_i e_i \cdot D_{e_i} v` over an orthonormal basis of the tangent space,
whatever the metric: a jvp per direction. On spheres, tori, simplices and Euclidean space this volume is the reference
measure, up to a constant that a flow from the space to itself does not see.
"""

from collections.abc import Callable
from functools import partial, singledispatch

import torch
from torch import Tensor
from torch.func import jvp, vmap

from ..._geomstats import Manifold
from ...manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, broadcasting
from ...manifolds.adapter import flattened
from ...manifolds.rows import load_forward_mode
from ...manifolds.space import Space

__all__ = [
    "divergence",
    "estimated_divergence",
    "log_volume_density",
    "project_to_space",
    "smooth_projection",
    "tangent_basis",
    "to_tangent",
]

_NEAR = 1e-3

Field = Callable[[Tensor], Tensor]
"""From points `(*batch, *event)` to tangent vectors there."""


def to_tangent(space: Manifold, vector: Tensor, x: Tensor) -> Tensor:
    """The tangent vector nearest to an ambient one, for any space and leading dimensions."""
    if isinstance(space, Space):
        return space.to_tangent(vector, x)
    return flattened(space.to_tangent, space.shape, tuple(space.shape), vector, x).to(x)


@singledispatch
def smooth_projection(space: Manifold) -> Callable[[Tensor], Tensor] | None:
    """A projection smooth near the space, which a solver may use in every step; None for most foreign ones."""
    return space.projection if isinstance(space, Space) else None


def project_to_space(space: Manifold, x: Tensor) -> Tensor:
    """The point of the space near an ambient one that is off by a step's error.

    A foreign projection that leads far away (the hyperboloid's does) is not used: such points stay as they are.
    """
    smooth = smooth_projection(space)
    if smooth is not None:
        return smooth(x)
    nearest = flattened(space.projection, space.shape, tuple(space.shape), x).to(x)
    moved = (nearest - x).flatten(x.ndim - len(space.shape)).norm(dim=-1)
    return torch.where((moved < _NEAR).reshape(*moved.shape, *(1 for _ in space.shape)), nearest, x)


@singledispatch
def tangent_basis(space: Manifold, x: Tensor) -> Tensor:
    """An orthonormal basis, in the ambient coordinates, of the tangent space: `(*batch, d, *event)`.

    From the singular vectors of the projection of every ambient axis, where a space has nothing better.
    """
    size = x[(0,) * (x.ndim - len(space.shape))].numel()
    axes = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, *space.shape)
    points = x.unsqueeze(-len(space.shape) - 1)
    batch = x.shape[: x.ndim - len(space.shape)]
    tangent = to_tangent(space, axes.expand(*batch, *axes.shape), points.expand(*batch, *axes.shape))
    rows = torch.linalg.svd(tangent.reshape(*batch, size, size)).Vh[..., : space.dim, :]
    return rows.reshape(*batch, space.dim, *space.shape)


@tangent_basis.register
def _(space: Hypersphere, x: Tensor) -> Tensor:
    """The rows of the reflection that takes x to an axis, but for the first."""
    n = x.shape[-1]
    eye = torch.eye(n, dtype=x.dtype, device=x.device)
    mirror = x + torch.where(x[..., :1] >= 0, 1.0, -1.0).to(x) * eye[0]
    mirror = mirror / torch.linalg.vector_norm(mirror, dim=-1, keepdim=True)
    return eye[1:] - 2 * mirror[..., 1:, None] * mirror[..., None, :]


@tangent_basis.register(Euclidean)
@tangent_basis.register(Torus)
def _(space: Manifold, x: Tensor) -> Tensor:
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return eye.expand(*x.shape[:-1], *eye.shape)


@tangent_basis.register
def _(space: Simplex, x: Tensor) -> Tensor:
    """Helmert's rows: differences of a coordinate and the mean of those before it."""
    n = x.shape[-1]
    k = torch.arange(1, n, dtype=x.dtype, device=x.device)
    rows = torch.ones(n - 1, n, dtype=x.dtype, device=x.device).tril()
    rows = rows - torch.diag_embed(k, offset=1)[: n - 1]
    rows = rows / (k * (k + 1)).sqrt()[:, None]
    return rows.expand(*x.shape[:-1], n - 1, n)


@tangent_basis.register
def _(space: Product, x: Tensor) -> Tensor:
    rows, before = [], 0
    for factor, part, size in zip(space.factors, space.split(x), space.sizes):
        block = tangent_basis(factor, part).reshape(*x.shape[:-1], factor.dim, size)
        rows.append(torch.nn.functional.pad(block, (before, x.shape[-1] - before - size)))
        before += size
    return torch.cat(rows, dim=-2)


def divergence(space: Manifold, field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """A tangent field at points `(*batch, *event)` and its exact divergence `(*batch,)`."""
    load_forward_mode()
    event = len(space.shape)
    basis = tangent_basis(space, x.detach()).movedim(-event - 1, 0)
    value, moved = _along(field, x, basis)
    return value, (moved * basis).flatten(x.ndim - event + 1).sum(-1).sum(0)


def estimated_divergence(space: Manifold, field: Field, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """The field, and unbiased estimates `(k, *batch)` of its divergence from ambient probes `(k, *batch, *event)`.

    Probes have independent coordinates of mean 0 and variance 1; their tangent parts are used.

    Reference: M. Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.
    """
    load_forward_mode()
    probes = to_tangent(space, probes, x.detach().expand_as(probes))
    value, moved = _along(field, x, probes)
    return value, (moved * probes).flatten(x.ndim - len(space.shape) + 1).sum(-1)


def _along(field: Field, x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """A field and its derivatives `(k, *batch, *event)` along directions of that shape."""
    found = vmap(lambda e: jvp(field, (x,), (e,)), out_dims=(None, 0), randomness="same")(directions)  # type: ignore[arg-type]
    return found[0], found[1]


def log_volume_density(space: Manifold, x: Tensor) -> Tensor | float:
    """Log of the Riemannian volume relative to that inherited from the ambient coordinates; 0 for our own spaces.

    Half the log-determinant of the metric in an orthonormal basis of the tangent space. The distributions on our own
    spaces name another reference measure, which is the inherited one up to a constant.
    """
    if isinstance(space, Space):
        return 0.0
    basis = tangent_basis(space, x)
    axis = -len(space.shape) - 1
    inner = partial(broadcasting(space.metric).inner_product, base_point=x.unsqueeze(axis).unsqueeze(axis))
    gram = inner(basis.unsqueeze(axis), basis.unsqueeze(axis - 1))
    return 0.5 * torch.linalg.slogdet(gram).logabsdet
