"""Metric flow matching: paths that leave the geodesic where a detour costs less energy."""

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.func import jvp

from ..._geomstats import Manifold
from ...checks import check_integer, check_tensors, describe
from ...manifolds import Product, Simplex, broadcasting
from ...manifolds.rows import load_forward_mode
from .coordinates import coordinates_of
from .fields import VectorField, features
from .paths import geodesic_path

__all__ = ["BentPath"]


class BentPath(nn.Module):
    r"""Paths :math:`\exp_{\gamma(t)}(t (1-t)\, \phi(x_0, x_1, t))` about the geodesic :math:`\gamma` from x0 to x1.

    The correction :math:`\phi` is a network, tangent at :math:`\gamma(t)`, trained to lower an energy of the paths;
    afterwards `FlowMatching(space, path=...)` follows them.

    Args:
        space: Any geomstats space with exp and log.
        energy: From nodes `(m, k + 1, *event)` of curves to energies `(m,)`, differentiable: usually a
            `manifoldflow.interpolation.CurveEnergy` on the same space, whose conformal factor is small where data are.
        correction: A module `(t, x, context) -> ambient vectors`, its context the features of both end points; a
            `VectorField` by default.
        segments: Segments k of the curves whose energy is lowered.
        hidden: Width of the default correction.
        layers: Its number of layers.

    Untrained paths are the geodesics themselves. Velocities are exact: the derivative of the path in t.

    Reference: K. Kapusniak et al., Metric flow matching for smooth interpolations on the data manifold, NeurIPS 2024
    (arXiv 2405.14780), equations 5 and 7, with the geodesic for the straight line.

    Example:
        >>> from manifoldflow.interpolation import CurveEnergy
        >>> space = mf.Hypersphere(2)
        >>> path = BentPath(space, CurveEnergy(space=space))
        >>> start, end = space.random_point(8, dtype=torch.float32), space.random_point(8, dtype=torch.float32)
        >>> path.loss(start, end).backward()
        >>> flow = mf.flows.FlowMatching(space, path=path)
    """

    def __init__(
        self,
        space: Manifold,
        energy: Callable[[Tensor], Tensor],
        *,
        correction: nn.Module | None = None,
        segments: int = 30,
        hidden: int = 64,
        layers: int = 3,
    ) -> None:
        super().__init__()
        if not callable(energy):
            raise TypeError(f"energy: expected a function of nodes (m, k + 1, *event), got {describe(energy)}")
        self.space, self.energy, self.segments = space, energy, check_integer("segments", segments, least=2)
        self.coordinates = coordinates_of(space)
        if correction is None:
            width = features(space, torch.zeros(1, *space.shape)).shape[-1]
            correction = VectorField(space, hidden=hidden, layers=layers, context_dim=2 * width)
        self.correction = correction

    def points(self, t: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Points `(m, *event)` of the paths from `start` to `end` `(m, *event)` at times `(m,)`."""
        middle, _ = geodesic_path(self.space, t, start, end)
        context = torch.cat([features(self.space, start), features(self.space, end)], dim=-1)
        vector = self.coordinates.tangent(self.correction(t, middle, context), middle)
        return _move(self.space, (t * (1 - t)).reshape(-1, *(1 for _ in self.space.shape)) * vector, middle)

    def forward(self, space: Manifold, t: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Points and velocities `(m, *event)` at times `(m,)`: what `FlowMatching` asks of a path."""
        load_forward_mode()
        found = jvp(lambda s: self.points(s, start, end), (t,), (torch.ones_like(t),))
        return found[0], found[1]

    def nodes(self, start: Tensor, end: Tensor, segments: int | None = None) -> Tensor:
        """The nodes `(m, k + 1, *event)` of the paths at equidistant times."""
        check_tensors({"start": start, "end": end}, self.space.shape, of=f"points of {self.space!r}", broadcast=False)
        count = (self.segments if segments is None else check_integer("segments", segments)) + 1
        times = torch.linspace(0, 1, count, dtype=start.dtype, device=start.device).repeat(len(start))
        first, last = start.repeat_interleave(count, 0), end.repeat_interleave(count, 0)
        return self.points(times, first, last).reshape(len(start), count, *self.space.shape)

    def loss(self, start: Tensor, end: Tensor) -> Tensor:
        """The mean log energy of the paths between pairs of points `(m, *event)`.

        Its least value has the same paths as that of the mean energy, of which the costliest pairs are most.
        """
        energy = self.energy(self.nodes(start, end))
        return energy.clamp_min(torch.finfo(energy.dtype).tiny).log().mean()


@singledispatch
def _move(space: Manifold, vector: Tensor, x: Tensor) -> Tensor:
    """exp of a tangent vector at x."""
    return broadcasting(space.metric).exp(vector, x)


@_move.register
def _(space: Simplex, vector: Tensor, x: Tensor) -> Tensor:
    """A geodesic that would leave the simplex is reflected at its faces."""
    options = {"boundary": "reflect"} if space.metric_name == "fisher_rao" else {}
    return space.metric.exp(vector, x, **options)


@_move.register
def _(space: Product, vector: Tensor, x: Tensor) -> Tensor:
    blocks = zip(space.factors, space.split(vector), space.split(x))
    return space.join([_move(*block) for block in blocks])
