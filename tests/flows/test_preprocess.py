"""Preprocessing: exact log-determinants, and bits per dimension that do not depend on it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Beta, Independent, TransformedDistribution

from manifoldflow.charts import Identity
from manifoldflow.data import bits_per_dim, dequantise
from manifoldflow.distributions import Gaussian
from manifoldflow.flows import (
    Centred,
    FlowDescription,
    FlowTransform,
    Glow,
    Logit,
    ManifoldFlow,
    Preprocessed,
    build_flow,
)

FIRST = [Centred(), Logit(), Logit(1e-6)]


class Flatten(FlowTransform):
    """Images to vectors and nothing else, so that densities can be worked by hand."""

    domain = Glow.domain
    codomain = Glow.codomain

    def forward_shape(self, shape):
        return torch.Size((*shape[:-3], 4))

    def inverse_shape(self, shape):
        return torch.Size((*shape[:-1], 1, 2, 2))

    def call_and_ladj(self, x):
        return x.flatten(-3), x.new_zeros(x.shape[:-3])

    def _inverse(self, z):
        return z.unflatten(-1, (1, 2, 2))


def flow_of(first, scale=1.0):
    """Independent N(0, scale^2) coordinates after `first`."""
    base = Gaussian(torch.zeros(4, dtype=torch.float64), torch.full((4,), scale, dtype=torch.float64))
    return ManifoldFlow(Preprocessed(first, Flatten()), Identity(4), base)


@pytest.mark.parametrize("first", FIRST)
@given(x=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_inverse_and_derivative_on_the_closed_interval(first, x):
    x = torch.tensor([0.0, 1.0, *x], dtype=torch.float64, requires_grad=True)
    y = first(x)
    assert torch.isfinite(y).all()
    torch.testing.assert_close(first.inv(y), x, rtol=0, atol=1e-14)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    volume = first.log_abs_det_jacobian(x, y)
    torch.testing.assert_close(volume, slope.log(), rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(volume.sum() + 0 * x.sum(), x)
    assert torch.isfinite(gradient).all()


def test_float32_near_one_does_not_cancel():
    """1 - x is exact for x near 1; 1 - p would lose all digits at alpha = 1e-6."""
    x = 1 - torch.logspace(-7, -2, 20, dtype=torch.float64).float()
    exact = Logit(1e-6)(x.double())
    torch.testing.assert_close(Logit(1e-6)(x).double(), exact, rtol=3e-7, atol=0)


def test_points_beyond_the_unit_interval_stay_finite_and_nan_stays():
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([-5.0, -0.1, 1.1, 5.0, float("nan")], dtype=dtype, requires_grad=True)
        y, volume = Logit().call_and_ladj(x)
        assert torch.isfinite(y[:4]).all()
        assert torch.isfinite(volume[:4]).all()
        assert y[4].isnan()
        (y[:4] + volume[:4]).sum().backward()
        assert torch.isfinite(x.grad[:4]).all()


@pytest.mark.parametrize("alpha", [0, 0.5, -0.1, math.nan])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match=r"alpha: expected a number in \(0, 1/2\), got"):
        Logit(alpha)


@pytest.mark.parametrize("levels", [256, 32])
def test_bits_of_a_centred_gaussian_by_hand(levels):
    """A pixel k has density N((k + 1/2) / levels; 1/2, 1/4), and bits log2(levels) more than minus its log2."""
    images = torch.tensor([0, 7, levels // 2, levels - 1], dtype=torch.uint8).view(1, 1, 2, 2)
    x = dequantise(images, levels).double()
    expected = sum(
        (((int(k) + 0.5) / levels - 0.5) / 0.25) ** 2 / 2 + math.log(0.25 * math.sqrt(2 * math.pi))
        for k in images.flatten()
    )
    bpd = bits_per_dim(flow_of(Centred(), 0.25).log_prob(x), 4, levels)
    assert float(bpd) == pytest.approx(expected / (4 * math.log(2)) + math.log2(levels), rel=1e-12)


def test_bits_of_a_logit_gaussian_by_hand():
    """At x = 1/2: y = 0, dy/dx = 4 (1 - 2 alpha) = 3.6, so the density is 3.6 / sqrt(2 pi)."""
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    bpd = bits_per_dim(flow_of(Logit()).log_prob(x), 4, 256)
    assert float(bpd) == pytest.approx(8 - math.log2(3.6 / math.sqrt(2 * math.pi)), rel=1e-12)


@pytest.mark.parametrize(("levels", "bits"), [(256, 8), (32, 5)])
def test_bits_of_a_logistic_by_hand(levels, bits):
    """A standard logistic y makes p = alpha + (1 - 2 alpha) x uniform, so x has the density 1 - 2 alpha = 0.9."""
    x = torch.rand(7, 1, 2, 2, dtype=torch.float64)
    y, volume = Logit().call_and_ladj(x)
    logistic = -torch.nn.functional.softplus(y) - torch.nn.functional.softplus(-y)
    log_prob = (logistic + volume).flatten(1).sum(1)
    expected = torch.full((7,), bits - math.log2(0.9), dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(log_prob, 4, levels), expected)


@pytest.mark.parametrize("first", FIRST)
def test_one_density_has_the_same_bits_through_every_preprocessing(first):
    """The law of first(x), for x of a Beta law, given to a flow that begins with `first`."""
    beta = Independent(Beta(torch.full((1, 2, 2), 2.0).double(), torch.full((1, 2, 2), 3.0).double()), 3)
    x = beta.sample((6,))
    transform = Preprocessed(first, Flatten())
    z, ladj = transform.call_and_ladj(x)
    law_of_z = TransformedDistribution(beta, [transform])
    through = law_of_z.log_prob(z) + ladj
    torch.testing.assert_close(bits_per_dim(through, 4, 256), bits_per_dim(beta.log_prob(x), 4, 256))
    # The same without this library's log-determinant: by quadrature of the law of one coordinate.
    low, high = first(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
    inside = torch.linspace(low, high, 20001, dtype=torch.float64)[1:-1]
    one = TransformedDistribution(Beta(torch.tensor(2.0).double(), torch.tensor(3.0).double()), [first])
    assert float(torch.trapezoid(one.log_prob(inside).exp(), inside)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_glow_after_the_logit(dtype):
    """Built from its description: inverse, log-determinant against autodiff, sampling, empty batches."""
    torch.manual_seed(0)
    description = FlowDescription((1, 4, 4), levels=1, steps=2, hidden=8, preprocess="logit")
    flow = build_flow(FlowDescription.from_json(description.to_json())).to(dtype)
    x = torch.rand(6, 1, 4, 4, dtype=dtype)
    flow.transform.initialise(x)
    z, ladj = flow.transform.call_and_ladj(x)
    torch.testing.assert_close(flow.transform.inv(z), x, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-10)
    jacobian = torch.func.jacrev(lambda one: flow.transform(one[None])[0])(x[0]).reshape(16, 16)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], ladj[0], rtol=1e-4, atol=1e-4)
    assert flow.sample((3,)).shape == (3, 1, 4, 4)
    assert flow.log_prob(x[:0]).shape == (0,)
    assert flow.transform.forward_shape(torch.Size((2, 3, 1, 4, 4))) == (2, 3, 16)
    assert flow.transform.inverse_shape(torch.Size((2, 16))) == (2, 1, 4, 4)
    # The same weights without the layer, given the logits: its state is that of the Glow alone.
    plain = Glow((1, 4, 4), levels=1, steps=2, hidden=8).to(dtype)
    plain.load_state_dict(flow.transform.transform.state_dict())
    torch.testing.assert_close(plain(Logit()(x)), z)


def test_descriptions_without_the_field_and_with_an_unknown_one():
    fields = FlowDescription((1, 4, 4)).to_json()
    assert fields.pop("preprocess") == "centred"
    assert FlowDescription.from_json(fields) == FlowDescription((1, 4, 4))
    with pytest.raises(ValueError, match="preprocess: expected 'centred' or 'logit', got 'whitened'"):
        build_flow(FlowDescription((1, 4, 4), preprocess="whitened"))
    with pytest.raises(ValueError, match="preprocess: expected 'centred' or 'logit', got 3"):
        FlowDescription.from_json({**fields, "preprocess": 3})


def test_standard_normal_logits_are_drawn_inside_the_shrunk_interval():
    flow = flow_of(Logit())
    x = flow.sample((500,))
    assert -0.05 / 0.9 < float(x.min()) < float(x.max()) < 0.95 / 0.9
    y = Logit()(x).flatten()
    assert float(y.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * len(y)))


def test_all_are_bijections_of_one_number_or_an_image():
    glow = Glow((1, 4, 4), levels=1, steps=1, hidden=4)
    for transform, first, last in (
        (Centred(), 0, 0),
        (Logit(), 0, 0),
        (glow, 3, 1),
        (Preprocessed(Logit(), glow), 3, 1),
    ):
        assert transform.bijective
        assert transform.domain.event_dim == first
        assert transform.codomain.event_dim == last
        inverse = transform.inv
        assert inverse.bijective
        assert (inverse.domain.event_dim, inverse.codomain.event_dim) == (last, first)
