"""What is known about the law of a flow: its lift is the base's, seen through the flow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..distributions import Law, Statistic, law_of
from ..distributions.lifts import Lift, spread
from .interface import Flow, FlowDistribution

__all__ = ["ThroughFlow"]


@dataclass(frozen=True, repr=False)
class ThroughFlow(Lift):
    """The law of a flow: data are carried to the base, lifted there as its points are, and carried back.

    Between two draws of the flow a path combined in this way has the flow's law at every time; with a uniform base on a
    sphere it is the great circle there, seen through the flow.

    Args:
        flow: Any flow whose base has a lift.
        lift: The base's.
        context: What the flow is conditioned on, `(*batch, context_dim)`, or None.
    """

    flow: Flow
    lift: Lift
    context: Tensor | None = None

    lifted_dim = 1

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return len(self.flow.event_shape)

    @property
    def draws(self) -> bool:  # type: ignore[override]
        return self.lift.draws

    def normals(self, size: int) -> int:
        return self.lift.normals(self.flow.base.event_shape.numel())

    def directions(self, size: int) -> list[tuple[int, int]]:
        return self.lift.directions(self.flow.base.event_shape.numel())

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        context = self._context(points.shape[: points.ndim - self.event_dim])
        return self.lift.encode(self.flow.encode(points, context), generator)

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        s = self.lift.decode(normal, direction)
        like = next((p for p in self.flow.parameters() if p.is_floating_point()), s)
        return self.flow.decode(s.to(like.dtype), self._context(s.shape[:-1]))

    def spread(self, count: int = 1) -> Lift:
        context = None if self.context is None else spread(self.context, 1, count)
        return ThroughFlow(self.flow, self.lift.spread(count), context)

    def _context(self, batch: torch.Size) -> Tensor | None:
        return None if self.context is None else self.context.expand(*batch, self.context.shape[-1])


@law_of.register
def _(base: FlowDistribution) -> Law:
    own = law_of(base.flow.base)
    known = {} if own.lift is None else {"lift": ThroughFlow(base.flow, own.lift, base.context)}
    statistic = Statistic("model log-density (nats)", base.log_prob)
    return Law.of(base, f"a flow to {own.title}", statistic=statistic, **known)


@law_of.register
def _(base: Flow) -> Law:
    return law_of(base.distribution())
