"""Every flow has one interface; its base may be any law; its own law has a lift, so that paths through it keep it."""

import copy
import pickle

import pytest
import torch
from scipy import stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.distributions.transforms import AffineTransform

import manifoldflow as mf
from manifoldflow.charts import Identity, Stereographic
from manifoldflow.distributions import (
    Bingham,
    Dirichlet,
    FisherBingham,
    Gaussian,
    Joint,
    Kent,
    KernelDensity,
    Mixture,
    PowerSpherical,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    Watson,
    fit_mixture,
    law_of,
)
from manifoldflow.errors import OffManifoldError
from manifoldflow.flows import (
    EuclideanFlow,
    Flow,
    FlowMatching,
    ManifoldFlow,
    ProductFlow,
    SimplexFlow,
    Solver,
    SphereFlow,
    TorusFlow,
    VectorField,
    default_base,
    make_base,
)
from manifoldflow.interpolation import combine
from manifoldflow.realism import typicality
from tests.flows.projective import Projective


def bent(space, base=None, dtype=torch.float64, seed=0):
    """A flow that moves every point."""
    torch.manual_seed(seed)
    return Projective(space, base).to(dtype)


def planar(base=None):
    chart = Stereographic(2) if base is None else Identity(2)
    base = VonMisesFisher(torch.tensor([0.0, 0.0, -1.0]), 4.0) if base is None else base
    return ManifoldFlow(AffineTransform(torch.tensor([0.3, -1.0]), 2.0, event_dim=1), chart, base)


def law_on(space, count=3):
    """One base of each kind on S^2."""
    loc = space.random_point(count)
    laws = VonMisesFisher(loc, torch.full((count,), 9.0))
    return {
        "uniform": SphericalUniform(2),
        "vmf": VonMisesFisher(loc[0], 3.0),
        "mixture": Mixture(Categorical(torch.ones(count)), laws),
        "torch's mixture": MixtureSameFamily(Categorical(torch.ones(count)), laws),
        "kernel density": KernelDensity(space.random_point(20), 0.4, uniform_share=0.1),
        "flow": bent(space, dtype=torch.float32, seed=3).distribution(),
    }


KINDS = ["uniform", "vmf", "mixture", "torch's mixture", "kernel density", "flow"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_law_is_a_base_and_follows_the_module(kind):
    space = mf.Hypersphere(2)
    base = law_on(space)[kind]
    flow = bent(space, base, dtype=torch.float32)
    x = space.random_point(5)
    value = flow.log_prob(x)
    s, ladj = flow.encode_and_ladj(x)
    torch.testing.assert_close(value, base.log_prob(s) + ladj)
    double = copy.deepcopy(flow).double()
    assert double.sample((4,)).dtype == torch.float64
    found = double.log_prob(x.double())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, value.double(), atol=2e-4, rtol=1e-4)
    other = bent(space, law_on(space)[kind], dtype=torch.float32, seed=7)
    if kind not in ("kernel density", "flow"):
        assert other.base.sample().shape == (3,)
    other.load_state_dict(flow.state_dict())
    torch.testing.assert_close(other.log_prob(x), value)


@pytest.mark.parametrize("device", [d for d in ("cuda",) if torch.cuda.is_available()] + ["meta"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_tensor_of_a_base_stays_behind(kind, device):
    flow = bent(mf.Hypersphere(2), law_on(mf.Hypersphere(2))[kind]).to(device)
    held = list(flow.buffers()) + list(flow.parameters())
    assert len(held) > 1
    assert {t.device.type for t in held} == {device}


def test_parameters_of_a_base_are_learned():
    concentration = torch.nn.Parameter(torch.tensor(2.0))
    flow = bent(mf.Hypersphere(2), VonMisesFisher(torch.eye(3)[0], concentration), dtype=torch.float32)
    assert flow.base_concentration is concentration
    assert flow.learns_base
    flow.log_prob(torch.eye(3)).sum().backward()
    assert concentration.grad.abs() > 0
    with torch.no_grad():
        concentration.mul_(2)
    assert flow.base.concentration.item() == 4.0
    assert not bent(mf.Hypersphere(2)).learns_base


def learned(*values):
    return [torch.nn.Parameter(torch.as_tensor(value, dtype=torch.float64)) for value in values]


@pytest.mark.parametrize(
    ("space", "kind", "values"),
    [
        (mf.Torus(2), VonMises, ([0.1, 3.0], [1.0, 2.0])),
        (mf.Hypersphere(2), Bingham, ([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]],)),
        (mf.Hypersphere(2), FisherBingham, ([1.0, 0, 2], [[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])),
        (mf.Hypersphere(2), Kent, ([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], 5.0, 1.0)),
        (mf.Hypersphere(2), Watson, ([1.0, 0, 0], 2.0)),
        (mf.Hypersphere(2), PowerSpherical, ([1.0, 0, 0], 2.0)),
    ],
)
def test_parameters_of_every_family_are_learned(space, kind, values):
    parameters = learned(*values)
    base = kind(*parameters)
    flow = (TorusFlow(2, base=base) if isinstance(space, mf.Torus) else SphereFlow(2, base=base)).double()
    held = list(flow.parameters())
    assert all(any(p is q for q in held) for p in parameters)
    assert flow.learns_base
    flow.log_prob(space.random_point(4, dtype=torch.float64)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


def test_gradients_of_draws_reach_what_is_learned():
    flow = bent(mf.Hypersphere(2), law_on(mf.Hypersphere(2))["mixture"], dtype=torch.float32)
    model = flow.distribution()
    assert model.has_rsample
    model.rsample((3,)).sum().backward()
    assert flow.matrix.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["mixture", "kernel density"])
def test_flows_through_a_chart_take_the_same_bases(kind):
    chart, space = Stereographic(2), mf.Hypersphere(2)
    flow = ManifoldFlow(AffineTransform(0.0, 2.0, event_dim=1), chart, law_on(space)[kind])
    x = flow.sample((50,))
    assert x.shape == (50, 2)
    z = flow.transform(x)
    torch.testing.assert_close(flow.log_prob(x), flow.base.log_prob(chart(z)) + chart.log_volume(z) + 2 * torch.log(
        torch.tensor(2.0)), atol=1e-4, rtol=1e-4)  # fmt: skip
    assert flow.double().log_prob(x.double()).dtype == torch.float64


def test_a_flow_of_vectors_has_the_interface():
    flow = planar()
    assert isinstance(flow, Flow)
    assert repr(flow.space) == "Euclidean(2)"
    assert flow.manifold.dim == 2
    model = flow.distribution()
    assert model.event_shape == (2,)
    assert repr(model.manifold) == "Euclidean(2)"
    x = model.rsample((6,))
    torch.testing.assert_close(model.log_prob(x), flow.log_prob(x))
    s, ladj = flow.encode_and_ladj(x)
    torch.testing.assert_close(flow.base.log_prob(s) + ladj, flow.log_prob(x), atol=1e-4, rtol=1e-4)
    assert flow.sample((2, 3)).shape == (2, 3, 2)
    with pytest.raises(ValueError, match="context: expected None for a flow without one"):
        flow.log_prob(x, torch.zeros(6, 1))


def test_joint_laws_are_products():
    law = Joint([SphericalUniform(2), VonMises(torch.zeros(1), 2.0), Dirichlet(torch.ones(3))])
    x = law.sample((7,))
    assert x.shape == (7, 7)
    assert law.manifold.belongs(x).all()
    parts = x.split([3, 1, 3], -1)
    torch.testing.assert_close(law.log_prob(x), sum(one.log_prob(y) for one, y in zip(law.laws, parts)))
    assert law.expand((4,)).sample((2,)).shape == (2, 4, 7)
    assert law.expand((4,)).log_prob(x[:4]).shape == (4,)
    assert "Joint(" in repr(law)
    with pytest.raises(ValueError, match="laws: expected at least one distribution, got none"):
        Joint([])
    with pytest.raises(TypeError, match=r"laws\[1\]: expected a distribution of vectors with a manifold"):
        Joint([SphericalUniform(2), Normal(0.0, 1.0)])
    with pytest.raises(ValueError, match="laws: expected points of shapes"):
        Joint([SphericalUniform(2)], mf.manifolds.Product([mf.Hypersphere(1)]))


@pytest.mark.parametrize(
    "space",
    [mf.Torus(2), mf.manifolds.Product([mf.Hypersphere(2), mf.Torus(1), mf.Simplex(2), mf.Euclidean(1)])],
    ids=["torus", "product"],
)
def test_default_bases_of_tori_and_products(space):
    x = default_base(space).sample((5,))
    assert space.belongs(x).all()
    assert default_base(space).log_prob(x).shape == (5,)


COUNT = 4000
LEVEL = 1e-3  # of each Kolmogorov-Smirnov test below


@pytest.mark.parametrize("t", [0.25, 0.5])
@pytest.mark.parametrize("uniform", [True, False])
def test_matched_paths_keep_the_law_of_a_flow_on_the_sphere(t, uniform):
    """Encoded points of the paths have the base's law: z uniform on [-1, 1], the angle uniform."""
    space = mf.Hypersphere(2)
    flow = bent(space, None if uniform else VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 5.0), dtype=torch.float64)
    with torch.no_grad():
        x0, x1 = flow.sample((2, COUNT))
        times = torch.tensor([0.0, t, 1.0], dtype=torch.float64)
        path = mf.interpolation.Matched(flow, x0, x1)(times)
        s = flow.encode(path[:, 1])
        torch.testing.assert_close(path[:, 0], x0)
        torch.testing.assert_close(path[:, 2], x1)
        control = flow.encode(mf.interpolation.Geodesic(space, x0, x1, cut_locus="choose")(times)[:, 1])
        if uniform:  # the great circle seen through the flow
            circle = mf.interpolation.Geodesic(space, flow.encode(x0), flow.encode(x1), cut_locus="choose")(times)
            torch.testing.assert_close(s, circle[:, 1], atol=1e-5, rtol=0)
        drawn = flow.base.sample((COUNT,))
    along = stats.kstest(s[:, 2], "uniform", (-1, 2)) if uniform else stats.ks_2samp(s[:, 2], drawn[:, 2])
    assert along.pvalue > LEVEL
    turn = stats.kstest(torch.atan2(s[:, 1], s[:, 0]), "uniform", (-torch.pi, 2 * torch.pi))
    assert turn.pvalue > LEVEL
    worst = min(stats.ks_2samp(control[:, i], drawn[:, i]).pvalue for i in range(3))
    assert worst < LEVEL  # the geodesic of the data's space does not


def test_the_door_takes_a_flow_or_its_distribution():
    flow = bent(mf.Hypersphere(2), dtype=torch.float32)
    x0, x1 = flow.sample((2, 3))
    with torch.no_grad():
        by_module = mf.interpolate(x0, x1, method="matched", base=flow, steps=3)
        by_law = mf.interpolate(x0, x1, method="matched", base=flow.distribution(), steps=3)
        points = torch.stack([x0, x1, flow.sample((3,))], 1)
        mixed = combine(points, torch.tensor([1.0, 1.0, 1.0]), base=flow)
    assert by_module.shape == (3, 3, 3)
    assert by_module.dtype == torch.float32
    torch.testing.assert_close(by_module, by_law)
    assert flow.manifold.belongs(mixed).all()
    assert "matched" in mf.interpolation.methods_for(flow)
    shown = typicality(flow, by_module, samples=200)
    assert shown.shape == (3, 3)
    assert ((shown >= 0) & (shown <= 1)).all()
    with pytest.raises(OffManifoldError, match="start"):
        mf.interpolate(2 * x0, x1, method="matched", base=flow)


@pytest.mark.parametrize("name", ["gaussian", "vmf", "dirichlet"])
def test_matched_paths_keep_the_law_of_a_flow_of_vectors(name):
    torch.manual_seed(1)
    chart, base, _ = make_base(name, 2)
    flow = ManifoldFlow(AffineTransform(torch.tensor([0.3, -1.0]), 2.0, event_dim=1), chart, base)
    x0, x1, fresh = flow.sample((3, COUNT))
    middle = mf.interpolate(x0, x1, method="matched", base=flow, steps=3)[:, 1]
    for i in range(2):
        assert stats.ks_2samp(middle[:, i], fresh[:, i]).pvalue > LEVEL


def test_matched_paths_keep_joint_laws():
    torch.manual_seed(0)
    base = Joint([SphericalUniform(2), SphericalUniform(1), VonMisesFisher(torch.eye(3)[2], 4.0), Gaussian(
        torch.ones(2)), Dirichlet(torch.full((3,), 2.0))])  # fmt: skip
    assert law_of(base).has_lift
    x0, x1, fresh = base.sample((3, COUNT))
    middle = mf.interpolate(x0, x1, method="matched", base=base, steps=3)[:, 1]
    points = torch.stack([x0, x1, base.sample((COUNT,))], 1)
    mixed = combine(points, torch.tensor([1.0, -1.0, 2.0]), base=base)
    for found in (middle, mixed):
        assert base.manifold.belongs(found).all()
        for i in range(base.event_shape[0]):
            assert stats.ks_2samp(found[:, i], fresh[:, i]).pvalue > LEVEL / 10


def test_contexts_go_with_their_pairs():
    torch.manual_seed(0)
    flow = Projective(mf.Hypersphere(2), context_dim=2)
    context = torch.randn(5, 2)
    model = flow.distribution(context)
    with torch.no_grad():
        x0, x1 = model.sample((2,))
        path = mf.interpolate(x0, x1, method="matched", base=model, steps=4)
        one = flow.distribution(context[3])
        torch.testing.assert_close(path[3], mf.interpolate(x0[3], x1[3], method="matched", base=one, steps=4),
                                   atol=1e-5, rtol=1e-5)  # fmt: skip


def test_a_fitted_mixture_is_a_base():
    torch.manual_seed(0)
    points = VonMisesFisher(torch.eye(3), 50.0).sample((50,)).flatten(0, 1)
    flow = bent(mf.Hypersphere(2), fit_mixture(VonMisesFisher, points, 3), dtype=torch.float32)
    with torch.no_grad():
        flow.matrix.copy_(torch.eye(3))
        assert flow.log_prob(points).mean() > SphericalUniform(2).log_prob(points).mean() + 2


def test_flow_matching_joins_its_draws_by_matched_paths():
    torch.manual_seed(0)
    field = VectorField(mf.Hypersphere(2), hidden=16, layers=2)
    for p in field.parameters():
        torch.nn.init.normal_(p, std=0.3)
    flow = FlowMatching(mf.Hypersphere(2), field=field, solver=Solver("geodesic-midpoint", steps=32)).double()
    with torch.no_grad():
        x0, x1 = flow.sample((2, 5))
        path = mf.interpolate(x0, x1, method="matched", base=flow, steps=3)
        circle = mf.interpolate(flow.encode(x0), flow.encode(x1), method="geodesic", space=flow.manifold, steps=3)
        torch.testing.assert_close(flow.encode(path[:, 1]), circle[:, 1], atol=2e-3, rtol=0)


def test_independent_coordinates_are_a_base():
    base = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    flow = FlowMatching(mf.Euclidean(2), base=base)
    assert flow.double().base.sample().dtype == torch.float64


@pytest.mark.parametrize(
    "build",
    [
        lambda: SphereFlow(2),
        lambda: SphereFlow(11),
        lambda: TorusFlow(3),
        lambda: TorusFlow(3, passes="autoregressive", kind="moebius", hidden=8),
        lambda: SimplexFlow(2),
        lambda: EuclideanFlow(2),
        lambda: ProductFlow([mf.Hypersphere(2), mf.Torus(1)]),
        lambda: FlowMatching(mf.Hypersphere(2)),
        planar,
    ],
)
def test_copies_and_pickles_have_the_same_law(build):
    torch.manual_seed(0)
    flow = build()
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.05 * torch.randn_like(p))
    x = flow.sample((4,))
    for other in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        torch.testing.assert_close(other.log_prob(x), flow.log_prob(x))
