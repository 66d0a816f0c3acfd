"""ManifoldFlow: a density of data, whatever the base; encode and decode are inverses on the manifold."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.distributions.transforms import AffineTransform

import manifoldflow as mf
from manifoldflow.charts import AdditiveLogRatio, IsometricLogRatio, Stereographic, StickBreaking
from manifoldflow.distributions import Dirichlet, VonMisesFisher
from manifoldflow.flows import BASES, FlowDescription, ManifoldFlow, build_flow, make_base

ALL_BASES = sorted(BASES)


@pytest.fixture(params=ALL_BASES)
def flow(request):
    flow = build_flow(FlowDescription((1, 4, 4), base=request.param, levels=1, steps=2, hidden=8))
    flow.transform.initialise(torch.rand(128, 1, 4, 4))
    return flow


def test_decode_undoes_encode_and_points_are_on_the_manifold(flow):
    x = torch.rand(6, 1, 4, 4)
    s = flow.encode(x)
    assert flow.manifold.belongs(s).all()
    torch.testing.assert_close(flow.decode(s), x, atol=1e-4, rtol=0)


def test_log_prob_equals_that_of_the_distribution(flow):
    x = torch.rand(6, 1, 4, 4)
    torch.testing.assert_close(flow.log_prob(x), flow.distribution().log_prob(x), atol=1e-3, rtol=1e-5)
    assert flow.distribution().event_shape == (1, 4, 4)


def test_samples_have_the_data_shape_and_finite_density(flow):
    x = flow.sample((3, 2))
    assert x.shape == (3, 2, 1, 4, 4)
    assert flow.log_prob(x).shape == (3, 2)
    assert flow.log_prob(x).isfinite().all()
    assert not x.requires_grad


def test_gradients_reach_every_parameter(flow):
    flow.log_prob(torch.rand(6, 1, 4, 4)).sum().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_base_follows_the_module_to_another_dtype(flow):
    flow.double()
    assert flow.log_prob(torch.rand(2, 1, 4, 4, dtype=torch.float64)).dtype == torch.float64
    assert flow.sample((2,)).dtype == torch.float64


def _sphere(d):
    loc = torch.tensor([0.6, -0.8, 0.0][: d + 1], dtype=torch.float64)
    return Stereographic(d, scale=0.7), VonMisesFisher(loc, torch.tensor(3.0).double())


def _simplex(chart, d):
    return chart(d), Dirichlet(torch.tensor([2.0, 1.3, 0.9][: d + 1]).double())


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", ["sphere", AdditiveLogRatio, IsometricLogRatio, StickBreaking])
def test_density_integrates_to_one(d, kind):
    """Quadrature over all of R^d, substituting x = tan(angle)."""
    chart, base = _sphere(d) if kind == "sphere" else _simplex(kind, d)
    flow = ManifoldFlow(AffineTransform(0.3, 1.5, event_dim=1), chart, base)
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(400))
    angles = nodes * (math.pi / 2)
    weights = weights * (math.pi / 2) / angles.cos().square()
    x = torch.cartesian_prod(*[angles.tan()] * d).reshape(-1, d)
    weight = torch.cartesian_prod(*[weights] * d).reshape(-1, d).prod(-1)
    assert float((flow.log_prob(x).exp() * weight).sum()) == pytest.approx(1, abs=1e-4)


def test_typical_chart_coordinates_match_a_fresh_flow():
    """Each base puts |z| near sqrt(d), where data-dependent initialisation puts the data."""
    for name in ALL_BASES:
        chart, base, _ = make_base(name, 256)
        z = chart.inv(base.sample((500,)))
        assert float(z.norm(dim=-1).mean()) == pytest.approx(math.sqrt(256), rel=0.25), name


@pytest.mark.parametrize("parameter", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ALL_BASES)
def test_bad_parameters_are_refused(name, parameter):
    with pytest.raises(ValueError, match="expected a positive finite number"):
        make_base(name, 4, parameter)


def test_unknown_base_is_refused():
    with pytest.raises(ValueError, match="base: expected one of 'gaussian', 'vmf', 'dirichlet', got 'cauchy'"):
        make_base("cauchy", 4)


def test_description_survives_json_and_refuses_anything_else():
    description = FlowDescription((3, 8, 8), base="vmf", base_parameter=1.5, levels=1, steps=3, hidden=16)
    fields = description.to_json()
    assert FlowDescription.from_json(fields) == description
    FlowDescription(**{**fields, "shape": (3, 8, np.int64(8))})
    for name, value in {"shape": (1, 8), "base": 3, "base_parameter": "x", "levels": 0, "steps": 1.5, "hidden": None,
                        "preprocess": "logits"}.items():  # fmt: skip
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            FlowDescription(**{**fields, name: value})
    for wrong in (None, {}, {**fields, "extra": 1}, {**fields, "steps": "3"}, {**fields, "shape": [1, 2]}):
        with pytest.raises(ValueError, match="flow description"):
            FlowDescription.from_json(wrong)


def test_interpolation_through_a_flow_is_a_geodesic_of_its_base(flow):
    start, end = flow.encode(torch.rand(4, 1, 4, 4)), flow.encode(torch.rand(4, 1, 4, 4))
    images = mf.interpolate(start, end, method="geodesic", base=flow.base, decode=flow.decode, steps=5)
    assert images.shape == (4, 5, 1, 4, 4)
    torch.testing.assert_close(images[:, 0], flow.decode(start), atol=1e-4, rtol=0)
    torch.testing.assert_close(images[:, -1], flow.decode(end), atol=1e-4, rtol=0)


def test_bad_data_is_refused(flow):
    x = torch.rand(2, 1, 4, 4)
    s = flow.encode(x)
    for call in (flow.log_prob, flow.encode):
        assert call(x).isfinite().all()
        with pytest.raises(ValueError, match=r"x: expected floating-point data, got torch.uint8; call .*dequantise"):
            call(x.byte())
        for value in (math.nan, math.inf):
            with pytest.raises(ValueError, match=r"x: expected finite numbers, got (nan|inf) at index"):
                call(torch.full_like(x, value))
        with pytest.raises(
            ValueError, match=r"x: expected torch.float32 as the flow's weights, got torch.float64; conv"
        ):
            call(x.double())
        with pytest.raises(
            ValueError, match=r"x: expected images of shape \(\*batch, \(1, 4, 4\)\), got \(2, 1, 4, 5\)"
        ):
            call(torch.rand(2, 1, 4, 5))
        for wrong in (None, "x", x.numpy(), 3.0):
            with pytest.raises(TypeError, match="x: expected a floating-point tensor, got"):
                call(wrong)
    with pytest.raises(ValueError, match=r"s: expected torch.float32 as the flow's weights"):
        flow.decode(s.double())
    with pytest.raises(ValueError, match=r"s: expected shape \(\*batch, \d+\) for points of .*, got shape \(2, "):
        flow.decode(s[:, :-1])
    assert flow.sample([2]).shape == (2, 1, 4, 4)
    with pytest.raises(TypeError, match=r"shape: expected a tuple of integers, got 3; write \(3,\)"):
        flow.sample(3)
    with pytest.raises(ValueError, match=r"shape\[0\]: expected an integer >= 0, got -1"):
        flow.sample((-1,))


def test_parts_of_other_kinds_are_refused():
    chart, base, _ = make_base("vmf", 2)
    transform = AffineTransform(0.0, 2.0, event_dim=1)
    assert ManifoldFlow(transform, chart, base).log_prob(torch.zeros(3, 2)).shape == (3,)
    with pytest.raises(TypeError, match="transform: expected a torch Transform, got a Linear"):
        ManifoldFlow(torch.nn.Linear(2, 2), chart, base)
    with pytest.raises(TypeError, match="chart: expected a manifoldflow Chart, got 'stereographic'"):
        ManifoldFlow(transform, "stereographic", base)
    with pytest.raises(TypeError, match="base: expected a manifoldflow BaseDistribution, got a Normal"):
        ManifoldFlow(transform, chart, torch.distributions.Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="chart: expected points of shape"):
        ManifoldFlow(transform, Stereographic(3), base)


def test_the_base_is_built_once_and_anew_when_its_tensors_change(flow):
    x = torch.rand(3, 1, 4, 4)
    base, value = flow.base, flow.log_prob(x).detach()
    assert flow.base is base
    name = [name for name in flow.state_dict() if name.startswith("base_")][-1]
    changed = {**flow.state_dict(), name: 1.5 * flow.state_dict()[name]}
    with torch.no_grad():
        swapped = torch.func.functional_call(flow, changed, (x,))
        assert not torch.allclose(swapped, value)
        assert torch.equal(flow.log_prob(x), value)
        copied = copy.deepcopy(flow)
        assert copied.base is not base
        flow.load_state_dict(changed)  # changes the tensors in place
        assert torch.equal(flow.log_prob(x), swapped)
        assert torch.equal(copied.log_prob(x), value)
    with torch.inference_mode():
        assert torch.equal(copied.log_prob(x), value)
    copied.log_prob(x.requires_grad_()).sum().backward()
    assert x.grad.isfinite().all()


def test_a_learned_base_gets_gradients_at_every_call():
    chart, base, _ = make_base("vmf", 2)
    flow = ManifoldFlow(AffineTransform(0.0, 2.0, event_dim=1), chart, base)
    del flow.base_concentration
    flow.register_parameter("base_concentration", torch.nn.Parameter(base.concentration.clone()))
    x = torch.rand(4, 2)
    with torch.no_grad():
        before = flow.log_prob(x)
    (parameter,) = flow.parameters()
    for _ in range(2):
        flow.zero_grad()
        flow.log_prob(x).sum().backward()
        assert parameter.grad != 0
    with torch.no_grad():
        parameter.mul_(2)
        assert not torch.equal(flow.log_prob(x), before)
