"""Spaces, distributions, charts, paths, indices and flows survive pickling and deepcopy, and give the same numbers."""

import copy
import pickle

import pytest
import torch

import manifoldflow as mf
import manifoldflow.interpolation as mfi
from manifoldflow.charts import AdditiveLogRatio, Identity, IsometricLogRatio, Stereographic, StickBreaking
from manifoldflow.distributions import Gaussian, InChart, PowerSpherical, SphericalUniform, WrappedNormal
from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.manifolds import Product
from manifoldflow.realism import StandardNormalIndex, TwoSidedIndex, density_index, semicircle

from ..strategies import MANIFOLDS

COPIES = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy}
POLE = torch.eye(4)[0]
A, B = torch.nn.functional.normalize(torch.tensor([[[1.0, 0.5, -0.2, 0.1]], [[-0.1, 0.9, 0.3, 0.4]]]), dim=-1)
P, Q = torch.tensor([[[0.1, 0.2, 0.3, 0.4]], [[0.4, 0.1, 0.3, 0.2]]])
TIMES = torch.tensor([0.0, 0.3, 1.0])

copies = pytest.mark.parametrize("again", COPIES.values(), ids=COPIES.keys())


@copies
@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_spaces(space, again):
    other = again(space)
    x, y = (space.random_point(3).reshape(3, -1) for _ in range(2))
    assert repr(other) == repr(space)
    assert torch.equal(other.metric.dist(x, y), space.metric.dist(x, y))
    assert torch.equal(other.metric.geodesic(x, y)(TIMES), space.metric.geodesic(x, y)(TIMES))


LAWS = [
    mf.VonMisesFisher(POLE, torch.tensor(5.0)),
    PowerSpherical(POLE, torch.tensor(5.0)),
    SphericalUniform(3),
    mf.Dirichlet(torch.tensor([1.0, 2.0, 3.0])),
    Gaussian(torch.zeros(4), torch.ones(4)),
    WrappedNormal(mf.Hypersphere(3), POLE, 0.3),
    InChart(mf.VonMisesFisher(POLE, torch.tensor(5.0))),
    mf.VonMisesFisher(POLE, torch.tensor(5.0)).angle,
    semicircle(4),
]


@copies
@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_distributions(law, again):
    x = law.sample((3,))
    law.log_prob(x)  # fills whatever is kept
    other = again(law)
    assert torch.equal(other.log_prob(x), law.log_prob(x))
    states = []
    for one in (law, other):
        torch.manual_seed(3)
        states.append(one.sample((3,)))
    assert torch.equal(*states)


@copies
@pytest.mark.parametrize(
    "chart",
    [Identity(3), Stereographic(3, scale=2.0), AdditiveLogRatio(3), IsometricLogRatio(3), StickBreaking(3)],
    ids=lambda chart: type(chart).__name__,
)
def test_charts(chart, again):
    z = torch.randn(5, 3)
    s = chart(z)
    other = again(chart)
    assert torch.equal(other(z), s)
    assert torch.equal(other.inv(s), chart.inv(s))


PATHS = [
    mfi.Linear(A, B),
    mfi.NormCorrected(A, B),
    mfi.Slerp(A, B),
    mfi.Geodesic(mf.Hypersphere(3), A, B),
    mfi.Geodesic(mf.Simplex(3), P, Q),
    mfi.Geodesic(Product([mf.Euclidean(2), mf.Euclidean(2)]), A, B),
    mfi.Matched(mf.VonMisesFisher(POLE, torch.tensor(5.0)), A, B),
    mfi.OptimalTransport(None, A, B),
    mfi.Slerp(A, B).resample(),
    mfi.optimise(mfi.realism_energy(StandardNormalIndex(4).regularised(0.1)), A, B, segments=8),
]


@copies
@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_paths(path, again):
    other = again(path)
    assert torch.equal(other(TIMES), path(TIMES))
    assert torch.equal(other.length(steps=8), path.length(steps=8))


@copies
@pytest.mark.parametrize(
    "bridge",
    [
        mfi.GaussianProcessBridge(A, B, kernel=mfi.Matern(1.5)),
        mfi.TypicalBridge(A, B),
        mfi.SphereBrownianBridge(mf.Hypersphere(3), A, B),
        mfi.LangevinBridge(A, B),
    ],
    ids=lambda bridge: type(bridge).__name__,
)
def test_bridges(bridge, again):
    draws = [one.sample(TIMES, (2,), generator=torch.Generator().manual_seed(1)) for one in (bridge, again(bridge))]
    assert torch.equal(*draws)


@copies
def test_indices_and_flows(again):
    x = torch.randn(4, 6)
    index = TwoSidedIndex(density_index(semicircle(6), samples=200)).regularised(0.1)
    assert torch.equal(again(index)(x), index(x))
    flow = build_flow(FlowDescription((1, 4, 4), base="vmf", levels=1, steps=1, hidden=4)).eval()
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(again(flow).log_prob(images), flow.log_prob(images))
