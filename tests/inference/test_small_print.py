"""Guides in plates, their quantiles, divergences of kernels, equal maps, laws that do not say where they live."""

import math
import sys
from types import SimpleNamespace
from typing import ClassVar

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Normal, biject_to, constraints, transform_to

from manifoldflow.charts import AdditiveLogRatio, Identity
from manifoldflow.distributions import Dirichlet, InChart, SphericalUniform, VonMises, VonMisesFisher
from manifoldflow.distributions.constraints import OnSpace
from manifoldflow.inference import AutoVonMisesFisher, GeodesicHMC, auto_reparam, to_arviz
from manifoldflow.inference.motion import motion_of
from manifoldflow.inference.onto import onto
from manifoldflow.inference.reparam import onto_of
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

F64 = torch.float64
NORTH = torch.tensor([0.0, 0.0, 1.0])


@pytest.fixture(autouse=True)
def _clear():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


def test_guides_in_plates_have_quantiles_of_what_has_an_order():
    def model():
        with pyro.plate("rows", 4):
            pyro.sample("direction", VonMisesFisher(NORTH, 2.0))
            pyro.sample("number", dist.Normal(0.0, 1.0))
            pyro.sample("angle", VonMises(torch.zeros(1), torch.ones(1)))
            pyro.sample("size", dist.LogNormal(0.0, 1.0))

    guide = AutoVonMisesFisher(model)
    with pytest.raises(ValueError, match="AutoVonMisesFisher: expected a guide that has been run"):
        guide.median()
    drawn = guide()
    assert drawn["direction"].shape == (4, 3)
    guide.laws.number.loc = torch.arange(4.0)
    levels = [0.1, 0.5, 0.9]
    found = guide.quantiles(levels)
    assert set(found) == {"number", "angle", "size"}
    assert found["number"].shape == (3, 4)
    assert found["angle"].shape == (3, 4, 1)
    middle = guide.median()
    torch.testing.assert_close(found["number"], Normal(torch.arange(4.0), 0.3).icdf(torch.tensor(levels)[:, None]))
    for name in ("number", "size", "angle"):
        torch.testing.assert_close(found[name][1], middle[name], atol=1e-4, rtol=1e-4)
    wide = torch.tensor(levels)[:, None].expand(3, 4)
    low = torch.stack([guide.laws.size.loc + 0.3 * Normal(0.0, 1.0).icdf(row) for row in wide])
    torch.testing.assert_close(found["size"], low.exp())
    assert guide.caps(0.5)["direction"].shape == (4,)


def test_draws_go_to_arviz_by_chain(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", SimpleNamespace(from_dict=lambda **given: given))
    draws = torch.randn(2, 8, 3)
    run = SimpleNamespace(
        get_samples=lambda group_by_chain: {"s": draws} if group_by_chain else {},
        diagnostics=lambda: {"divergences": {"chain 0": [], "chain 1": [2, 5]}},
    )
    found = to_arviz(run)
    assert torch.equal(torch.from_numpy(found["posterior"]["s"]), draws)
    diverging = found["sample_stats"]["diverging"]
    assert diverging.shape == (2, 8)
    assert list(zip(*diverging.nonzero())) == [(1, 2), (1, 5)]


def cliff():
    x = pyro.sample("x", dist.Normal(torch.zeros(1, dtype=F64), 1.0).to_event(1))
    pyro.factor("cliff", torch.where(x.abs().sum() < 3, 0.0, -torch.inf))


def test_paths_into_the_undefined_diverge_and_are_counted_from_the_first_draw():
    kernel = GeodesicHMC(cliff, 0.5, num_steps=4, adapt_step_size=False, adapt_mass_matrix=False)
    assert kernel._longest_step == math.inf  # of no model
    kernel.setup(1)
    start = kernel._phase._replace(q=torch.tensor([2.9], dtype=F64), p=torch.tensor([9.0], dtype=F64))
    end = kernel._step(start, 0.5)
    assert math.isnan(end.potential)
    assert kernel._gradients == 1  # the second half is not taken
    move = kernel._move(start, 0.5)
    assert (move.diverging, move.moved, move.accept_prob, move.phase) == (True, False, 0.0, start)
    kernel.cleanup()
    kernel.setup(1)
    fates = iter([True, False, True, True])  # of the warm-up and three draws
    kernel._move = lambda start, step: move._replace(phase=start, diverging=next(fates), moved=True, accept_prob=0.5)
    for _ in range(4):
        kernel.sample(kernel._last)
    assert kernel.diagnostics()["divergences"] == [1, 2]
    assert kernel.diagnostics()["acceptance rate"] == 1.0
    assert kernel.logging()["acc. prob"] == "0.500"


def test_equal_maps_and_constraints():
    assert onto(Hypersphere(2)) == onto(Hypersphere(2))
    assert onto(Hypersphere(2)) != onto(Hypersphere(3))
    assert onto(Torus(1)) != onto(Hypersphere(1))  # both of the plane
    assert len({onto(Torus(2)), onto(Torus(2)), onto(Torus(3))}) == 2
    one, other = (onto(Product([Hypersphere(2), Torus(1)])) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != onto(Product([Torus(1), Hypersphere(2)]))
    assert repr(onto(Hypersphere(2))) == "Directions(3)"
    assert onto(Simplex(2)).codomain.event_dim == 1
    assert onto(Euclidean(2)).chart == Identity(2)
    assert onto(Simplex(2)).chart == AdditiveLogRatio(2)
    assert not onto(Hypersphere(2)).bijective
    assert onto(Product([Simplex(2), Euclidean(1)])).bijective
    assert not onto(Product([Simplex(2), Torus(1)])).bijective
    with pytest.raises(NotImplementedError, match="log_fibre"):
        onto(Hypersphere(2)).log_abs_det_jacobian(torch.zeros(3), torch.zeros(3))
    z = torch.randn(4, 2)
    chart = onto(Simplex(2))
    torch.testing.assert_close(chart.log_abs_det_jacobian(z, chart(z)), chart.chart.log_volume(z))
    for space in (Hypersphere(2), Torus(2), Simplex(2), Product([Hypersphere(1), Euclidean(1)])):
        way = transform_to(OnSpace(space))
        assert space.belongs(way(torch.randn(5, onto(space).size))).all()
    flat = biject_to(OnSpace(Product([Simplex(2), Euclidean(1)])))
    x = Product([Simplex(2), Euclidean(1)]).random_point(4)
    torch.testing.assert_close(flat(flat.inv(x)), x)


class Silent(dist.TorchDistribution):
    """A law that says nothing of where it lives."""

    arg_constraints: ClassVar[dict] = {}

    def __init__(self):
        super().__init__(torch.Size(), torch.Size([3]), validate_args=False)

    @property
    def manifold(self):
        raise NotImplementedError

    @property
    def support(self):
        raise NotImplementedError


class OnTheSphere(Silent):
    support = dist.constraints.sphere


def test_laws_that_do_not_say_where_they_live():
    assert onto_of(Silent()) is None
    assert type(motion_of(OnTheSphere())).__name__ == "Directions"
    assert motion_of(InChart(SphericalUniform(2))) is None
    assert motion_of(dist.Normal(0.0, 1.0)) is None
    assert onto_of(dist.Normal(0.0, 1.0)) is None
    assert type(motion_of(Dirichlet(torch.ones(3)))).__name__ == "Roots"


def test_masked_sites_stay_masked():
    def model():
        with pyro.plate("rows", 2):
            pyro.sample("s", VonMisesFisher(NORTH, 2.0).mask(torch.tensor([True, False])))

    trace = pyro.poutine.trace(auto_reparam(model)).get_trace()
    trace.compute_log_prob()
    log_prob = trace.nodes["s_normal"]["log_prob"]
    assert log_prob[0] != 0
    assert log_prob[1] == 0


class Odd(dist.Normal):
    """Numbers with a constraint that torch has no way to."""

    class _Odd(constraints.Constraint):
        def check(self, value):
            return value == value

    support = _Odd()


def test_where_sites_start_and_which_cannot_move():
    def model():
        kind = pyro.sample("kind", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
        pyro.sample("s", SphericalUniform(2))
        pyro.sample("y", dist.Normal(kind, 1.0), obs=torch.tensor(0.3))

    kernel = GeodesicHMC(model)
    kernel.setup(0)
    assert set(kernel.initial_params) == {"s"}
    assert kernel.initial_params["s"].norm().item() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"model: site 'x' has support .* register the latter"):
        GeodesicHMC(lambda: pyro.sample("x", Odd(0.0, 1.0)), init_strategy=lambda site: torch.zeros(())).setup(0)

    def refuses(site):
        raise NotImplementedError

    kernel = GeodesicHMC(lambda: pyro.sample("s", SphericalUniform(2)), init_strategy=refuses)
    kernel.setup(0)  # a random point where a strategy knows none
    assert kernel.initial_params["s"].norm().item() == pytest.approx(1)
