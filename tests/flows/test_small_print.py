"""Transforms of torch in a flow, contexts of its draws, supports, what a lift says, and how flows show themselves."""

import math

import pytest
import torch
from torch.distributions.transforms import AffineTransform, ExpTransform

from manifoldflow.charts import Identity, Stereographic
from manifoldflow.distributions import Dirichlet, Gaussian, InChart, VonMisesFisher, law_of
from manifoldflow.distributions.constraints import OnSpace
from manifoldflow.flows import (
    BASES,
    EuclideanFlow,
    FlowTransform,
    Glow,
    Logit,
    ManifoldFlow,
    Preprocessed,
    SimplexFlow,
    SphereFlow,
)
from manifoldflow.flows.flow import call_and_ladj
from manifoldflow.flows.matching.coordinates import coordinates_of
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex

SOUTH = torch.tensor([0.0, 0.0, -1.0])


def planar():
    return ManifoldFlow(AffineTransform(0.5, 2.0, event_dim=1), Stereographic(2), VonMisesFisher(SOUTH, 3.0))


def test_transforms_of_torch_give_value_and_volume():
    x = torch.tensor([[0.3, -1.0]])
    y, ladj = call_and_ladj(ExpTransform(), x)
    torch.testing.assert_close(y, x.exp())
    torch.testing.assert_close(ladj, x)
    y, ladj = call_and_ladj(AffineTransform(0.5, 2.0, event_dim=1), x)
    torch.testing.assert_close(y, 0.5 + 2 * x)
    torch.testing.assert_close(ladj, torch.tensor([2 * math.log(2.0)]))
    flow = planar()
    z = 0.5 + 2 * x
    torch.testing.assert_close(flow.log_prob(x), flow.chart_base.log_prob(z) + 2 * math.log(2.0))
    assert isinstance(flow.chart_base, InChart)
    torch.testing.assert_close(flow.loss(x), -flow.log_prob(x).mean())


class Shift(FlowTransform):
    """x plus the context."""

    domain = codomain = torch.distributions.constraints.real_vector

    def call_and_ladj(self, x, context=None):
        moved = x if context is None else x + context
        return moved, x.new_zeros(x.shape[:-1])

    def _inverse(self, z, context=None):
        return z if context is None else z - context


def test_draws_given_contexts():
    flow = ManifoldFlow(Shift(), Identity(2), Gaussian(torch.zeros(2), 1e-3), context_dim=2)
    context = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    drawn = flow.sample((4,), context)
    assert drawn.shape == (4, 3, 2)
    torch.testing.assert_close(drawn, -context.expand(4, 3, 2), atol=0.02, rtol=0)
    at = flow.log_prob(-context, context)
    torch.testing.assert_close(at, flow.base.log_prob(torch.zeros(2)).expand(3))
    torch.testing.assert_close(flow.encode(-context, context), torch.zeros(3, 2))
    torch.testing.assert_close(flow.decode(torch.zeros(3, 2), context), -context)
    assert flow.sample((), context[0], temperature=2.0).shape == (2,)
    with pytest.raises(ValueError, match="context: expected shape"):
        flow.sample((4,))
    for wrong in (4, (4.0,), (-1,)):
        with pytest.raises((TypeError, ValueError), match="shape"):
            flow.sample(wrong, context)


def test_supports_of_flows():
    on = SphereFlow(2, transforms=1).distribution().support
    assert isinstance(on, OnSpace)
    assert on.check(torch.eye(3)).all()
    assert not on.check(2 * torch.eye(3)).any()
    for flow, count in ((EuclideanFlow(2, transforms=1), 1), (planar(), 1)):
        support = flow.distribution().support
        assert support.event_dim == count
        assert support.check(torch.zeros(3, 2)).shape == (3,)
    glow = Glow((1, 4, 4), levels=1, steps=1, hidden=2)
    images = ManifoldFlow(glow, Identity(16), Gaussian(torch.zeros(16)))
    assert images.space is None
    assert images.distribution().support.event_dim == 3
    assert images.distribution().log_prob(torch.rand(5, 1, 4, 4)).shape == (5,)
    assert planar().space.dim == 2
    assert isinstance(planar().manifold, Hypersphere)


def test_lifts_through_a_flow_are_the_bases():
    lift = law_of(SimplexFlow(2, transforms=1, base=Dirichlet(torch.ones(3))).distribution()).lift
    assert lift.draws
    assert lift.normals(3) == 3
    lift = law_of(EuclideanFlow(4, transforms=1).distribution()).lift
    assert not lift.draws
    assert lift.normals(4) == 4
    sphere = law_of(SphereFlow(2, transforms=1, base=VonMisesFisher(SOUTH, 3.0))).lift
    assert (sphere.event_dim, sphere.lifted_dim, sphere.normals(3)) == (1, 1, 1)
    assert sphere.directions(3) == [(2, 3)]


def test_volumes_of_inner_coordinates_add_up():
    space = Product([Simplex(2), Hypersphere(2), Simplex(1)])
    coordinates = coordinates_of(space)
    x = space.random_point(4)
    y = coordinates.to(x)
    torch.testing.assert_close(coordinates.back(y), x)
    parts = [coordinates_of(f) for f in space.factors]
    single = [p.log_volume(p.to(a)) for p, a in zip(parts, space.split(x))]
    torch.testing.assert_close(coordinates.log_volume(y), single[0] + single[2])
    assert coordinates_of(Euclidean(2)).log_volume(torch.zeros(4, 2)).tolist() == [0.0] * 4


def test_how_they_show_themselves():
    glow = Glow((1, 8, 8))
    assert repr(glow) == "Glow((1, 8, 8), levels=2, steps=8, hidden=64)"
    assert repr(Preprocessed(Logit(), glow)) == f"Preprocessed(Logit(0.05), {glow!r})"
    shown = repr(planar())
    assert shown.startswith("ManifoldFlow(AffineTransform(")
    assert "Stereographic(2), VonMisesFisher(" in shown
    assert "\n" not in shown
    assert [choice.law.title for choice in BASES.values()] == ["Gaussian", "von Mises-Fisher", "Dirichlet"]
    assert repr(SphereFlow(2, transforms=1).distribution()) == "FlowDistribution(SphereFlow, batch=())"
