"""Laws that every chart obeys: bijection, log-volume equal to the Gram determinant, shapes, finite at any scale."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd.functional import jacobian

from manifoldflow.charts import (
    AdditiveLogRatio,
    Identity,
    IsometricLogRatio,
    SimplexChart,
    Stereographic,
    StickBreaking,
)

CHARTS = (
    Identity,
    Stereographic,
    lambda dim: Stereographic(dim, scale=0.3),
    lambda dim: Stereographic(dim, scale=2.5, learnable=True),
    AdditiveLogRatio,
    IsometricLogRatio,
    StickBreaking,
)
NAMES = ("identity", "stereographic", "scaled", "learnable", "alr", "ilr", "stick")
every_chart = pytest.mark.parametrize("build", CHARTS, ids=NAMES)


@st.composite
def cases(draw, largest=8):
    """A chart and a batch of coordinates, spread widely or narrowly; zero is drawn on purpose."""
    chart = draw(st.sampled_from(CHARTS))(draw(st.integers(1, largest)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    z = torch.randn(3, chart.dim, dtype=dtype, generator=generator) * draw(st.sampled_from([0.0, 0.01, 1.0, 4.0]))
    return chart, z


def eps(z):
    return torch.finfo(z.dtype).eps


@given(case=cases())
def test_image_is_on_the_manifold_and_comes_back(case):
    chart, z = case
    s = chart(z)
    assert s.dtype == z.dtype
    assert s.shape == (3, chart.ambient_dim)
    assert chart.codomain.check(s).all()
    # A coordinate of a simplex is known to eps, its logarithm to eps over it.
    lost = s.amin(-1, keepdim=True) if isinstance(chart, SimplexChart) else torch.ones(())
    assert ((chart.inv(s) - z).abs() <= 50 * eps(z) * (1 + z.abs().amax(-1, keepdim=True)) / lost.clamp(max=1)).all()


@given(case=cases())
def test_log_volume_is_the_gram_determinant(case):
    chart, z = case
    for row in z.double():
        derivative = jacobian(lambda x, chart=chart: chart(x), row)
        if isinstance(chart, SimplexChart):
            derivative = derivative[:-1]  # Lebesgue measure on the first d coordinates
        gram = 0.5 * torch.linalg.slogdet(derivative.mT @ derivative).logabsdet
        ours = chart.log_abs_det_jacobian(row, chart(row)).detach()
        if ours > -25:  # beyond it the Gram determinant, not ours, has lost its digits
            assert abs(ours - gram) <= 1e-10 * max(1, abs(ours)) * max(1, float(torch.linalg.cond(derivative)) / 1e4)


@given(case=cases())
def test_inverse_transform_has_the_opposite_log_volume(case):
    chart, z = case
    s = chart(z)
    torch.testing.assert_close(chart.inv.log_abs_det_jacobian(s, z), -chart.log_abs_det_jacobian(z, s), rtol=0, atol=0)


@every_chart
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("dim", [1, 2, 785, 12_287])
def test_float32_is_finite_and_comes_back_at_any_scale(build, scale, dim):
    chart = build(dim)
    z = (scale * torch.randn(2, dim)).requires_grad_()
    through_logs = isinstance(chart, SimplexChart)
    s = chart.to_log(z) if through_logs else chart(z)
    back = chart.from_log(s) if through_logs else chart.inv(s)
    volume = chart.log_volume(z)
    for value in (s, back, volume):
        (gradient,) = torch.autograd.grad(value.sum() + 0 * z.sum(), z, retain_graph=True)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
    # What float32 can hold of the image bounds what can come back: log s has eps |log s|, a sphere's point eps.
    unit = eps(z) * (s.abs().amax() if through_logs else z.norm(dim=-1, keepdim=True).clamp(min=1))
    assert ((back - z).abs() <= 32 * unit).all()
    if through_logs:
        total = s.double().logsumexp(-1)
        assert (total.abs() <= 4 * eps(z) * s.abs().amax()).all()


@every_chart
def test_gradients_of_gradients(build):
    chart = build(3)
    z = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    for function in (chart, lambda x: chart.log_volume(x) + 0 * x.sum(-1), lambda x: chart.inv(chart(x))):
        assert torch.autograd.gradcheck(function, z)
        assert torch.autograd.gradgradcheck(function, z)


@every_chart
def test_shapes(build):
    chart = build(4)
    n = chart.ambient_dim
    assert chart.forward_shape((2, 4)) == (2, n)
    assert chart.inverse_shape((2, n)) == (2, 4)
    assert chart(torch.zeros(0, 4)).shape == (0, n)
    assert chart.log_volume(torch.zeros(5, 0, 4)).shape == (5, 0)
    assert chart.inv(chart(torch.randn(4))).shape == (4,)
    assert chart.domain.event_dim == chart.codomain.event_dim == chart.event_dim == 1
    assert chart.bijective
    assert chart.sign == 1
    for call in (lambda: chart(torch.zeros(2, 5)), lambda: chart.inv(torch.zeros(2, n + 1))):
        with pytest.raises(ValueError, match=r"expected shape \(\*batch, "):
            call()
    for shape in ((7,), ()):
        with pytest.raises(ValueError, match="shape: expected"):
            chart.forward_shape(shape)


@every_chart
@pytest.mark.parametrize("dim", [0, -1, 2.0, True])
def test_refuses_a_bad_dimension(build, dim):
    with pytest.raises(ValueError, match="dim: expected an integer >= 1"):
        build(dim)


@every_chart
def test_works_in_torch_transformed_distributions(build):
    chart = build(3)
    base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(3), torch.ones(3)), 1)
    law = torch.distributions.TransformedDistribution(base, [chart])
    s = law.rsample((6,))
    assert s.shape == (6, chart.ambient_dim)
    assert law.event_shape == (chart.ambient_dim,)
    z = chart.inv(s)
    torch.testing.assert_close(law.log_prob(s), base.log_prob(z) - chart.log_volume(z), rtol=1e-5, atol=1e-5)


def test_equality():
    assert AdditiveLogRatio(3) == AdditiveLogRatio(3)
    assert AdditiveLogRatio(3) != AdditiveLogRatio(4)
    assert AdditiveLogRatio(3) != IsometricLogRatio(3)
    assert Stereographic(3) == Stereographic(3, scale=1.0)
    assert Stereographic(3) != Stereographic(3, scale=2.0)
    learnable = Stereographic(3, learnable=True)
    assert learnable == learnable
    assert learnable != Stereographic(3, learnable=True)
    assert len({AdditiveLogRatio(3), AdditiveLogRatio(3), StickBreaking(3)}) == 2


def test_a_learnable_chart_is_built_with_its_cache():
    chart = Stereographic(3, learnable=True, cache_size=1)
    assert chart.with_cache() is chart
    with pytest.raises(ValueError, match="build it with cache_size=1"):
        Stereographic(3, learnable=True).with_cache()


@pytest.mark.parametrize("build", [build for build, name in zip(CHARTS, NAMES) if name != "learnable"])
def test_caching_copies_are_the_same_chart(build):
    chart, z = build(3), torch.randn(2, 3)
    copy = chart.with_cache()
    assert copy == chart
    assert hash(copy) == hash(chart)
    assert chart.with_cache(0) is chart
    assert copy.inv(copy(z)) is z
    torch.testing.assert_close(copy(z), chart(z), rtol=0, atol=0)
