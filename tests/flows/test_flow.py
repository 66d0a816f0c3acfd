"""ManifoldFlow: a density of data, whatever the base; encode and decode are inverses on the manifold."""

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
    torch.testing.assert_close(flow.log_prob(x), flow.distribution.log_prob(x), atol=1e-3, rtol=1e-5)
    assert flow.distribution.event_shape == (1, 4, 4)


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
    with pytest.raises(ValueError, match="expected one of gaussian, vmf, dirichlet, got 'cauchy'"):
        make_base("cauchy", 4)


def test_description_survives_json_and_refuses_anything_else():
    description = FlowDescription((3, 8, 8), base="vmf", base_parameter=1.5, levels=1, steps=3, hidden=16)
    fields = description.to_json()
    assert FlowDescription.from_json(fields) == description
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
    with pytest.raises(ValueError, match=r"floating-point data, got torch.uint8; call .*dequantise"):
        flow.encode(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="expected finite values, got NaN"):
        flow.encode(torch.full((1, 1, 4, 4), float("nan")))
