"""Layers of one-pass flows by the formulas of their papers and docstrings, and how far each may go."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from manifoldflow.flows import EuclideanFlow, MoebiusMixture, ProductFlow, SimplexFlow, SphereFlow, TorusFlow
from manifoldflow.flows import RationalQuadratic as Spline
from manifoldflow.flows.splines.block_layers import SplitLayer, _parts, conformal, mapped, projective, unmapped
from manifoldflow.flows.splines.coupling import alternating_masks
from manifoldflow.flows.splines.euclidean_flow import VectorCoupling
from manifoldflow.flows.splines.rational_quadratic import GENTLE, WIDE, Bounds
from manifoldflow.flows.splines.sphere_layers import AxisLayer, Rotation
from manifoldflow.manifolds import Hypersphere, Product, Torus

F64 = torch.float64


def durkan(raw, x, bins, floor, steepest):
    """Equations 4 to 8 of arXiv 1906.04032, with a floor for the bins and bounded slopes; value and slope at x."""

    def shares(part):
        e = np.exp(part - part.max())
        return floor / bins + (1 - floor) * e / e.sum()

    w, h = shares(raw[:bins]), shares(raw[bins : 2 * bins])
    knots = raw[2 * bins :]
    knots = np.append(knots, knots[0])[: bins + 1]  # the last one of a circular spline is its first
    d = np.exp(knots / (1 + np.abs(knots) / steepest))
    left, bottom = np.append(0, np.cumsum(w)), np.append(0, np.cumsum(h))
    k = min(np.searchsorted(left, x, side="right") - 1, bins - 1)
    s, xi = h[k] / w[k], (x - left[k]) / w[k]
    below = s + (d[k + 1] + d[k] - 2 * s) * xi * (1 - xi)
    y = bottom[k] + h[k] * (s * xi**2 + d[k] * xi * (1 - xi)) / below
    return y, s**2 * (d[k + 1] * xi**2 + 2 * s * xi * (1 - xi) + d[k] * (1 - xi) ** 2) / below**2


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("bounds", [None, WIDE, GENTLE, Bounds(0.5, 1.0)])
@pytest.mark.parametrize("bins", [2, 5])
def test_splines_are_those_of_the_paper(bins, bounds, circular):
    torch.manual_seed(0)
    raw = 2 * torch.randn(3 * bins + (not circular), dtype=F64)
    spline = Spline(raw.expand(50, -1), circular=circular, **({} if bounds is None else {"bounds": bounds}))
    x = torch.linspace(0.001, 0.999, 50, dtype=F64)
    floor, steepest = bounds or (0.01, math.log(1000))
    exact = np.array([durkan(raw.numpy(), float(v), bins, floor, steepest) for v in x])
    y, log_slope = spline(x)
    assert np.allclose(y, exact[:, 0], rtol=0, atol=1e-12)
    assert np.allclose(log_slope.exp(), exact[:, 1], rtol=1e-9)
    torch.testing.assert_close(spline.inverse(y), x)
    low, rest, over, under, same = spline.from_ends(x, 1 - x)
    for found, wanted in ((low, y), (rest, 1 - y), (over, y / x), (under, (1 - y) / (1 - x)), (same, log_slope)):
        torch.testing.assert_close(found, wanted)


def test_slopes_lie_between_a_thousandth_and_a_thousand_or_a_tenth_and_ten():
    for bounds, most in ((WIDE, 1e3), (GENTLE, 10.0)):
        for sign in (-1, 1):
            raw = torch.cat([torch.zeros(4), torch.full((3,), sign * 1e9)]).double()
            slope = Spline(raw[None], bounds=bounds)(torch.zeros(1, dtype=F64))[1].exp()
            assert slope.item() == pytest.approx(most**sign)
    assert (WIDE.floor, GENTLE.floor) == (0.01, 0.2)


def test_centres_of_moebius_mixtures():
    zero = MoebiusMixture(torch.zeros(1, 12, dtype=F64))
    assert zero.real.eq(0).all()
    raw = torch.cat([torch.zeros(4), torch.tensor([1.0, -1.0, 1e9, -1e9]), torch.zeros(3), torch.ones(1)]).double()
    mixture = MoebiusMixture(raw[None])
    modulus = torch.tensor([0.99 / 2**0.5, -0.99 / 2**0.5, 0.99, -0.99], dtype=F64)
    angle = torch.arange(4, dtype=F64) * math.pi / 4 + torch.tensor([0.0, 0, 0, 1])
    torch.testing.assert_close(mixture.real[0], modulus * angle.cos())
    torch.testing.assert_close(mixture.imag[0], modulus * angle.sin())
    torch.testing.assert_close(mixture.weights[0], torch.full((4,), 0.25, dtype=F64))
    # of angles far around, the inverse is within half a turn
    y = torch.linspace(-9, 9, 50, dtype=F64)
    x = MoebiusMixture(raw.expand(50, -1)).inverse(y)
    assert (x - y).abs().max() < math.pi
    torch.testing.assert_close(MoebiusMixture(raw.expand(50, -1))(x)[0], y)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_conformal_and_projective_maps(n):
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(9, n, dtype=F64), dim=-1)
    w, a = 0.3 * torch.randn(2, 9, n, dtype=F64)
    w = 0.9 * w / (1 + w.norm(dim=-1, keepdim=True))
    gap, off = 1 - w.square().sum(-1, keepdim=True), x - w
    ratio = gap / off.square().sum(-1, keepdim=True)
    y, volume = conformal(x, w)
    torch.testing.assert_close(y, ratio * off - w)
    torch.testing.assert_close(volume, (n - 1) * ratio[:, 0].log())
    torch.testing.assert_close(conformal(y, -w)[0], x)
    y, volume = projective(x, a)
    moved = a.exp() * x
    torch.testing.assert_close(y, moved / moved.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(volume, a.sum(-1) - n * moved.norm(dim=-1).log())
    torch.testing.assert_close(unmapped(mapped(x, (w, a))[0], (w, a)), x)
    centre, scale = _parts(torch.cat([torch.full((n,), 1e9), torch.full((n,), 1e9)]).double())
    assert centre.norm().item() == pytest.approx(0.99)  # areas are stretched by less than 200^(n - 1)
    assert (1 - 0.99**2) / 0.01**2 < 200
    assert scale.eq(2).all()
    centre, scale = _parts(torch.cat([torch.eye(n)[0], torch.full((n,), -1.0)]).double())
    assert centre[0].item() == pytest.approx(0.99 / 2**0.5)
    torch.testing.assert_close(scale, torch.full((n,), -2 * math.tanh(0.5), dtype=F64))


def test_vectors_beyond_5_are_only_scaled_and_moved():
    torch.manual_seed(0)
    layer = VectorCoupling(torch.tensor([True, False]), bins=4, hidden=8).double()
    for p in layer.parameters():
        p.data.add_(0.5 * torch.randn_like(p))
    x = torch.tensor([-30.0, -10.0, -5.1, -5.0, 5.0, 5.1, 10.0, 30.0], dtype=F64)
    y, ladj = layer.call_and_ladj(torch.stack([x, torch.zeros_like(x)], -1))
    slope = (y[1, 0] - y[0, 0]) / 20
    torch.testing.assert_close(y[:, 0], y[0, 0] + slope * (x - x[0]))
    torch.testing.assert_close(ladj, slope.log().expand(8))
    inside = layer.call_and_ladj(torch.tensor([[4.9, 0.0], [-4.9, 0.0]], dtype=F64))[1]
    assert (inside - slope.log()).abs().min() > 1e-4  # the spline begins
    for p in layer.parameters():
        p.data.zero_()
    raw = list(layer.parameters())[-1]
    raw.data[-2:] = torch.tensor([1e9, 0.25])
    y, ladj = layer.call_and_ladj(torch.tensor([[0.5, 3.0]], dtype=F64))
    assert ladj.item() == pytest.approx(3)
    assert y[0].tolist() == pytest.approx([0.5 * math.exp(3) + 0.25, 3.0])


@pytest.mark.parametrize(("n", "bins"), [(4, 3), (10, 6), (31, 8)])
def test_knots_between_two_blocks_begin_at_quantiles_of_the_uniform_law(n, bins):
    layer = SplitLayer(n, bins=bins, hidden=4).double()
    x = torch.eye(n, dtype=F64)[:1] + torch.eye(n, dtype=F64)[-1:]
    p, q = n // 2, n - n // 2
    knots = layer._spline(x[:, :p], x[:, p:], None).knots[0].detach()
    at = stats.beta(q / 2, p / 2).ppf(np.linspace(0, 1, bins + 1))[1:-1]
    for row in knots:  # the same in x and y: the identity
        assert np.allclose(row, at, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 6), (8, 6), (9, 8)])
def test_masks_set_every_coordinate_apart_from_every_other(size, count):
    masks = alternating_masks(size)
    assert len(masks) == count
    apart = torch.zeros(size, size, dtype=torch.bool)
    for mask in masks:
        apart |= mask[:, None] & ~mask[None]
    assert apart.sum() == size * (size - 1)  # both ways


def test_rotations_reach_every_one_and_begin_with_the_shift():
    x = torch.nn.functional.normalize(torch.randn(5, 6, dtype=F64), dim=-1)
    for shift in (0, 1, -2):
        layer = Rotation(6, shift, reflections=6).double()
        assert layer.normals.shape == (6, 6)
        torch.testing.assert_close(layer(x)[0], x.roll(shift, -1))
        layer.normals.data.add_(torch.randn(6, 6))
        matrix = layer(torch.eye(6, dtype=F64))[0]
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(6, dtype=F64))
        assert torch.linalg.det(matrix).item() == pytest.approx((-1) ** shift)  # a cycle of six is odd
        product = torch.eye(6, dtype=F64).roll(shift, -1)
        for v in layer.normals.detach():
            product = product @ (torch.eye(6, dtype=F64) - 2 * torch.outer(v, v) / (v @ v))
        torch.testing.assert_close(matrix, product)
        torch.testing.assert_close(layer.inverse(layer(x)[0]), x)
    assert Rotation(3).normals.shape == (4, 3)


@pytest.mark.parametrize("level", [2, 3])
def test_a_layer_along_an_axis_leaves_directions_around_it(level):
    torch.manual_seed(0)
    layer = AxisLayer(4, level, bins=4, hidden=8).double()
    for p in layer.parameters():
        p.data.add_(0.5 * torch.randn_like(p))
    x = torch.nn.functional.normalize(torch.randn(9, 4, dtype=F64), dim=-1)
    y = layer(x)[0]
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(unit(y[:, :level], dim=-1), unit(x[:, :level], dim=-1))
    torch.testing.assert_close(y[:, level + 1 :], x[:, level + 1 :])
    assert (y[:, level] - x[:, level]).abs().min() > 1e-3


def weights_of(inputs, outputs, hidden):
    """Numbers in a network of two hidden layers."""
    return (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * outputs


def test_flows_saved_by_default_still_fit():
    """Numbers of weights of what an earlier version made: 6 (8, 3) layers, 8 (16, 8) bins, 64 (48) units."""
    spline = weights_of(1, 3 * 8 + 1, 64)
    sphere = 4 * 3 + weights_of(2, 3 * 8 - 1, 48) + 2 + weights_of(1, 3 * 8 + 1, 48)
    torus = weights_of(2, 3 * 16 + 1, 64)
    space = Product([Hypersphere(2), Torus(1)])
    # given an angle's sine and cosine, a direction; given that, an angle
    factors = 4 * 3 + weights_of(4, 23, 64) + weights_of(2, 2, 64) + weights_of(3, 25, 64) + weights_of(3, 25, 64)
    for flow, count in (
        (EuclideanFlow(2), 6 * spline),
        (SimplexFlow(2), 6 * spline),
        (SphereFlow(2), 3 * sphere),
        (TorusFlow(2), 8 * torus),
        (ProductFlow(space), 3 * factors),
    ):
        assert sum(p.numel() for p in flow.parameters()) == count, flow
