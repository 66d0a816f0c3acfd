"""What images go through before the learned part of a flow: centring, or the logit of Real NVP."""

import math
from numbers import Real
from typing import cast

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import Transform

from ...checks import check_kind, check_tensors, describe
from ..flow import FlowTransform, call_and_ladj

__all__ = ["PREPROCESSING", "Centred", "Logit", "Preprocessed"]


class Centred(Transform):
    """x - 1/2, of each coordinate: data in [0, 1] to [-1/2, 1/2], volume preserving.

    Reference: the published code of Glow (arXiv 1807.03039).
    """

    domain = constraints.real
    codomain = constraints.real
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        return x - 0.5

    def _inverse(self, y: Tensor) -> Tensor:
        return y + 0.5

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Zero for each coordinate."""
        return torch.zeros_like(x)


class Logit(Transform):
    r"""Logit of data shrunk into the open interval, :math:`y = logit(\alpha + (1 - 2 \alpha) x)`, of each coordinate.

    Its log-derivative is :math:`\log(1 - 2\alpha) - \log p - \log(1 - p)` with
    :math:`p = \alpha + (1 - 2 \alpha) x`. Every y has its inverse in
    :math:`(-\alpha, 1 - \alpha) / (1 - 2\alpha)`, a little beyond [0, 1]; x outside of it is moved to
    its ends, where the value is large and finite.

    Args:
        alpha: In (0, 1/2); 0.05 as in Real NVP.

    Raises:
        ValueError: `alpha` is outside.

    Reference: Dinh et al. 2017 (arXiv 1605.08803), section 4.1, in the form of Papamakarios et al. 2017
    (arXiv 1705.07057), which treats both ends alike.
    """

    domain = constraints.unit_interval
    codomain = constraints.real
    bijective = True

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        if not isinstance(alpha, Real) or not 0 < alpha < 0.5:
            raise ValueError(f"alpha: expected a number in (0, 1/2), got {describe(alpha)}")
        self.alpha: float = float(alpha)

    def __repr__(self) -> str:
        return f"Logit({self.alpha:g})"

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log dy/dx of each coordinate."""
        check_tensors({"x": x})
        least = torch.finfo(x.dtype).tiny
        # 1 - p from 1 - x, which does not cancel for x near 1.
        p, q = (self.alpha + (1 - 2 * self.alpha) * part for part in (x, 1 - x))
        log_p, log_q = p.clamp(least, 1).log(), q.clamp(least, 1).log()
        return log_p - log_q, math.log1p(-2 * self.alpha) - log_p - log_q

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        return (torch.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log dy/dx of each coordinate, computed anew from `x`."""
        return self.call_and_ladj(x)[1]


class Preprocessed(FlowTransform):
    """A learned transform of data that first goes through a fixed, coordinate-wise one.

    Args:
        first: Of each coordinate, without parameters: Centred(), Logit().
        transform: What comes after it; its parameters are this module's.
    """

    def __init__(self, first: Transform, transform: FlowTransform) -> None:
        check_kind("first", first, Transform)
        check_kind("transform", transform, FlowTransform)
        super().__init__()
        self.first = first
        self.transform = transform

    def __repr__(self) -> str:
        return f"Preprocessed({self.first!r}, {self.transform!r})"

    @property
    def domain(self) -> constraints.Constraint:
        """That of `first`, of an event of the transform's shape."""
        return constraints.independent(self.first.domain, self.transform.domain.event_dim)

    @property
    def codomain(self) -> constraints.Constraint:
        """That of the transform."""
        return self.transform.codomain

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        """As the transform's."""
        return self.transform.forward_shape(shape)

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        """As the transform's."""
        return self.transform.inverse_shape(shape)

    def initialise(self, x: Tensor) -> None:
        """Initialise the transform, if it does that, from a batch of data."""
        if hasattr(self.transform, "initialise"):
            self.transform.initialise(self.first(x))

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |det dz/dx|, of the batch shape."""
        y, volume = call_and_ladj(self.first, x)
        z, ladj = self.transform.call_and_ladj(y)
        return z, ladj + volume.flatten(ladj.ndim).sum(-1)

    def _inverse(self, z: Tensor) -> Tensor:
        return cast(Tensor, self.first.inv(self.transform.inv(z)))


PREPROCESSING = ("centred", "logit")
"""What a FlowDescription can ask for."""
