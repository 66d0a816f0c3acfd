"""Descriptions of flows: what is allowed, how many weights; bases by name; Glow's parts by their formulas."""

import math

import pytest
import torch

from manifoldflow.distributions import Dirichlet, Gaussian, VonMisesFisher
from manifoldflow.flows import FlowDescription, Glow, Logit, build_flow, make_base
from manifoldflow.flows.glow.layers import AffineCoupling, ChannelMixing, scale_and_shift, squeeze, unsqueeze

F64 = torch.float64


@pytest.mark.parametrize(("name", "most"), [("levels", 12), ("steps", 1000), ("hidden", 100_000), ("shape", 4096)])
def test_what_a_description_may_ask_for(name, most):
    for value, good in ((1, True), (most, True), (0, False), (most + 1, False)):
        fields = {"shape": (1, value, 4)} if name == "shape" else {"shape": (1, 4, 4), name: value}
        if good:
            FlowDescription(**fields)
        else:
            with pytest.raises(ValueError, match=name):
                FlowDescription(**fields)


def test_files_without_a_field_mean_its_default():
    """Models of earlier versions were described so."""
    assert FlowDescription((1, 8, 8)).to_json() == {
        "shape": [1, 8, 8],
        "base": "gaussian",
        "base_parameter": None,
        "levels": 2,
        "steps": 8,
        "hidden": 64,
        "preprocess": "centred",
    }
    glow = Glow((1, 4, 4))
    assert (glow.levels, glow.steps, glow.hidden, glow.recompute) == (2, 8, 64, False)
    assert Logit().alpha == 0.05


@pytest.mark.parametrize(("shape", "levels"), [((1, 8, 8), 1), ((3, 8, 8), 3)])
def test_the_least_number_of_weights_is_that_of_the_mixings_and_middle_convolutions(shape, levels):
    description = FlowDescription(shape, levels=levels, steps=2, hidden=5)
    flow = build_flow(description)
    couplings = [m for m in flow.modules() if isinstance(m, AffineCoupling)]
    middle = sum(m.net[2].weight.numel() for m in couplings)
    mixing = sum(m.lower.numel() for m in flow.modules() if isinstance(m, ChannelMixing))  # L and U share a square
    assert description.least_parameters == middle + mixing
    assert description.least_parameters < sum(p.numel() for p in flow.parameters())
    assert description.dim == math.prod(shape)


def test_bases_by_name():
    base = make_base("gaussian", 5)[1]
    assert isinstance(base, Gaussian)
    assert base.scale.tolist() == [1.0] * 5
    base = make_base("dirichlet", 5)[1]
    assert isinstance(base, Dirichlet)
    assert base.concentration.tolist() == [2.0] * 6  # arXiv 2010.12059 has Dirichlet(2)
    chart, base, _ = make_base("vmf", 5, 1.5)
    assert isinstance(base, VonMisesFisher)
    assert float(base.concentration) == 7.5
    assert base.loc.tolist() == [0, 0, 0, 0, 0, -1]
    assert float(make_base("vmf", 5)[1].concentration) == 5
    # the typical norm sqrt(d) goes to the typical angle, of cosine A, from the south pole
    z = math.sqrt(5) * torch.eye(5)[0]
    assert -chart(z)[-1].item() == pytest.approx(base.mean_resultant_length.item(), rel=1e-4)
    assert [make_base(name, 2)[2].compared for name in ("gaussian", "vmf", "dirichlet")] == [
        ("linear", "norm-corrected", "slerp", "matched"),
        ("geodesic", "matched"),
        ("linear", "geodesic", "matched"),
    ]
    make_base("vmf", 100, 1e6)
    with pytest.raises(ValueError, match=r"concentration over d.*expected at most 1e\+08 / d"):
        make_base("vmf", 100, 1.01e6)


def test_squeezing_puts_the_four_pixels_of_a_square_into_channels():
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    y = squeeze(x)
    torch.testing.assert_close(y, torch.nn.functional.pixel_unshuffle(x, 2))
    torch.testing.assert_close(unsqueeze(y), x)
    assert squeeze(x[:0]).shape == (0, 12, 2, 3)


def test_a_coupling_scales_by_less_than_e_squared():
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 1))
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor([1e9, 0.5, 3.0, -7.0]))
    log_scale, shift = scale_and_shift(net, torch.zeros(2, 1, 3, 3))
    torch.testing.assert_close(log_scale[:, 0], torch.full((2, 3, 3), 2.0))
    torch.testing.assert_close(log_scale[:, 1], torch.full((2, 3, 3), 2 * math.tanh(0.25)))
    assert shift[0, :, 0, 0].tolist() == [3.0, -7.0]


@pytest.mark.parametrize("channels", [4, 7])
def test_a_coupling_keeps_the_larger_half_and_maps_the_other(channels):
    torch.manual_seed(0)
    layer = AffineCoupling(channels, 6).double()
    for p in layer.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    x = torch.randn(2, channels, 4, 4, dtype=F64)
    y, ladj = layer(x)
    kept = channels - channels // 2
    assert torch.equal(y[:, :kept], x[:, :kept])
    log_scale, shift = scale_and_shift(layer.net, x[:, :kept])
    torch.testing.assert_close(y[:, kept:], log_scale.exp() * x[:, kept:] + shift)
    torch.testing.assert_close(ladj, log_scale.flatten(1).sum(1))
    torch.testing.assert_close(layer.inverse(y), x)


def test_channels_are_mixed_by_rotations_at_first_and_standardised():
    torch.manual_seed(0)
    mixing = ChannelMixing(5, 3).double()
    x = 4 * torch.randn(50, 5, 2, 3, dtype=F64) + 7
    x[:, 4] = 2.0  # constant
    for step in range(3):
        kernel = mixing.maps()[step][0][..., 0, 0].detach()
        torch.testing.assert_close(kernel @ kernel.T, torch.eye(5, dtype=F64), atol=1e-6, rtol=0)
        mixing.standardise(step, x)
        kernel, bias = mixing.maps()[step]
        rotation = kernel[..., 0, 0] / mixing.log_scale[step].exp()
        flat = torch.einsum("ij,bjhw->bihw", rotation.inverse() @ kernel[..., 0, 0], x)
        flat = flat + (rotation.inverse() @ bias)[:, None, None]
        std, mean = torch.std_mean(flat, dim=(0, 2, 3))
        torch.testing.assert_close(mean, torch.zeros(5, dtype=F64))
        torch.testing.assert_close(std[:4], torch.ones(4, dtype=F64))
        assert mixing.log_scale[step, 4].item() == pytest.approx(math.log(1e3))  # not infinite
    total = sum(torch.linalg.slogdet(k[..., 0, 0]).logabsdet for k, _ in mixing.maps())
    torch.testing.assert_close(mixing.log_determinant(6), 6 * total)
    for (kernel, bias), (back, off) in zip(mixing.maps(), mixing.inverse_maps()):
        y = torch.nn.functional.conv2d(x, kernel, bias)
        torch.testing.assert_close(torch.nn.functional.conv2d(y, back, off), x)
