"""A batch of data, of any shape, is its points one by one, for every flow, with contexts and without."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from manifoldflow.flows import (
    EuclideanFlow,
    FlowDescription,
    FlowMatching,
    ProductFlow,
    SimplexFlow,
    SphereFlow,
    TorusFlow,
    build_flow,
)
from manifoldflow.flows.matching import Solver, VectorField
from manifoldflow.flows.matching.rotations import rotation_log
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

F64 = torch.float64
SMALL = {"transforms": 2, "bins": 3, "hidden": 6}


def matching(space):
    def make(context_dim):
        field = VectorField(space, hidden=6, layers=2, context_dim=context_dim)
        return FlowMatching(space, field=field, context_dim=context_dim, solver=Solver("rk4", steps=3))

    return make


FLOWS = {
    "sphere": lambda c: SphereFlow(2, context_dim=c, **SMALL),
    "sphere of many dimensions": lambda c: SphereFlow(9, context_dim=c, **SMALL),
    "torus": lambda c: TorusFlow(3, context_dim=c, **SMALL),
    "torus, one angle after the other": lambda c: TorusFlow(3, context_dim=c, passes="autoregressive", **SMALL),
    "vectors": lambda c: EuclideanFlow(3, context_dim=c, **SMALL),
    "compositions": lambda c: SimplexFlow(2, context_dim=c, **SMALL),
    "product": lambda c: ProductFlow([Hypersphere(2), Torus(2), Simplex(2)], context_dim=c, **SMALL),
    "matching on a sphere": matching(Hypersphere(2)),
    "matching on a torus": matching(Torus(2)),
    "matching on a simplex": matching(Simplex(2)),
    "matching on a product": matching(Product([Hypersphere(2), Euclidean(1)], weights=[1.0, 2.0])),
    "images": lambda c: build_flow(FlowDescription((1, 4, 4), base="vmf", levels=1, steps=2, hidden=4)),
}


def bent(make, context_dim):
    torch.manual_seed(0)
    flow = make(context_dim).to(F64)
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return flow


@pytest.mark.parametrize("context_dim", [0, 2])
@pytest.mark.parametrize("name", FLOWS)
def test_batches(name, context_dim):
    if name == "images" and context_dim:
        return  # has none
    flow = bent(FLOWS[name], context_dim)
    context = torch.randn(6, context_dim, dtype=F64) if context_dim else None
    x = flow.distribution(context).sample(() if context_dim else (6,))
    event = x.shape[1:]
    assert event == flow.event_shape

    def given(rows, shape):
        return (rows.reshape(*shape, *rows.shape[1:]), None if context is None else context.reshape(*shape, -1))

    def compare(function, rows):
        """Of rows (6, ...) together, in a batch (2, 3), and alone."""
        whole = function(*given(rows, (6,)))
        pairs = function(*given(rows, (2, 3)))
        for i in range(6):
            alone = function(rows[i], None if context is None else context[i])
            for one, six, two in zip(*(v if isinstance(v, tuple) else (v,) for v in (alone, whole, pairs))):
                torch.testing.assert_close(six[i], one, atol=1e-9, rtol=1e-7)
                torch.testing.assert_close(two[i // 3, i % 3], one, atol=1e-9, rtol=1e-7)
        return whole

    density = compare(flow.log_prob, x)
    s, ladj = compare(flow.encode_and_ladj, x)
    torch.testing.assert_close(compare(flow.encode, x), s)
    if name != "images":  # whose chart has a volume of its own
        torch.testing.assert_close(flow.base.log_prob(s) + ladj, density)
    torch.testing.assert_close(compare(flow.decode, s), x, atol=1e-3, rtol=0)  # fixed steps are not exact
    torch.testing.assert_close(flow(x, context), density)
    law = flow.distribution(context)
    assert law.batch_shape == ((6,) if context_dim else ())
    torch.testing.assert_close(law.log_prob(x), density)
    wide = law.expand((4, 6))
    torch.testing.assert_close(wide.log_prob(x)[3], density)
    assert wide.log_prob(x).shape == (4, 6)
    assert law.sample((5,)).shape == (5, *law.batch_shape, *event)
    assert wide.sample((5,)).shape == (5, 4, 6, *event)
    if context is not None:
        for wrong in (context[:, :1], None):
            with pytest.raises(ValueError, match="context"):
                flow.log_prob(x, wrong)
        if not isinstance(flow, FlowMatching):  # each point under each context
            every = flow.log_prob(x[:, None], context)
            assert every.shape == (6, 6)
            torch.testing.assert_close(every.diagonal(), density)


def test_rotation_vectors_of_tables_of_matrices():
    turns = Rotation.random(6, random_state=0)
    vectors, matrices = torch.tensor(turns.as_rotvec()), torch.tensor(turns.as_matrix())
    found, half = rotation_log(matrices.reshape(2, 3, 3, 3))
    torch.testing.assert_close(found, vectors.reshape(2, 3, 3))
    assert half.shape == (2, 3)
    assert not half.any()
    torch.testing.assert_close(rotation_log(matrices[0])[0], vectors[0])


def test_contexts_in_a_table_and_alone():
    torch.manual_seed(0)
    flow = EuclideanFlow(3, context_dim=4, **SMALL).double()
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x, context = torch.randn(3, dtype=F64), torch.randn(2, 5, 4, dtype=F64)
    one_by_one = torch.stack([torch.stack([flow.log_prob(x, c) for c in row]) for row in context])
    torch.testing.assert_close(flow.log_prob(x, context), one_by_one)
    torch.testing.assert_close(flow.log_prob(x.expand(6, 2, 1, 3), context), one_by_one.expand(6, 2, 5))
    law = flow.distribution(context).expand((6, 2, 5))
    torch.testing.assert_close(law.log_prob(x), one_by_one.expand(6, 2, 5))
    assert flow.distribution(context[0, 0]).expand((5,)).log_prob(x).shape == (5,)
