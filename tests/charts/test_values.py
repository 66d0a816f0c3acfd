"""What is particular to a chart: fixed points, ends, isometry, the learnable scale, and the simplex constraint."""

import pytest
import torch
from torch.distributions import biject_to, transform_to

from manifoldflow.charts import (
    AdditiveLogRatio,
    Identity,
    IsometricLogRatio,
    SimplexConstraint,
    Stereographic,
    StickBreaking,
    default_chart,
)
from manifoldflow.errors import OffManifoldError
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex


def test_stereographic_poles():
    chart = Stereographic(2)
    assert chart(torch.zeros(2)).tolist() == [0, 0, -1]
    assert chart(torch.tensor([1.0, 0.0])).tolist() == [1, 0, 0]
    far = chart(torch.tensor([3e4, 4e4], dtype=torch.float32))
    assert far[-1] == 1  # the height has no digits left, the horizontal coordinates keep all
    torch.testing.assert_close(chart.inv(far), torch.tensor([3e4, 4e4]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stereographic_scale(dtype):
    z = torch.randn(5, 3, dtype=dtype)
    torch.testing.assert_close(Stereographic(3, scale=0.5)(z), Stereographic(3)(2 * z))
    learnable = Stereographic(3, scale=0.5, learnable=True)
    torch.testing.assert_close(learnable(z), Stereographic(3)(2 * z))
    assert learnable(z).dtype == dtype
    assert [name for name, _ in learnable.named_parameters()] == ["log_scale"]
    assert list(Stereographic(3).parameters()) == []
    (learnable.log_volume(z).sum() + learnable.inv(learnable(z)).sum()).backward()
    assert learnable.log_scale.grad.isfinite()
    # log-volume d log(2 r / (r^2 + |z|^2)), differentiated in log r
    square = z.double().square().sum(-1)
    expected = (3 * (1 - 2 * 0.25 / (0.25 + square))).sum()
    torch.testing.assert_close(learnable.log_scale.grad.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_stereographic_refuses_a_bad_scale(scale):
    with pytest.raises(ValueError, match="scale: expected a positive finite number"):
        Stereographic(2, scale=scale)


def test_stereographic_refuses_a_batch_of_scales():
    with pytest.raises(ValueError, match=r"scale: expected a positive finite number, got a tensor of shape \(2,\)"):
        Stereographic(2, scale=torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("chart", [AdditiveLogRatio(4), IsometricLogRatio(4), StickBreaking(4)], ids=repr)
def test_simplex_charts_take_zero_to_the_centre(chart):
    torch.testing.assert_close(chart(torch.zeros(4)), torch.full((5,), 0.2))


def test_isometric_log_ratio_is_an_isometry_of_the_aitchison_metric():
    chart, space = IsometricLogRatio(6), Simplex(6, metric="aitchison")
    x, y = torch.randn(2, 9, 6, dtype=torch.float64)
    distance = space.metric.dist(chart(x), chart(y))
    torch.testing.assert_close(distance, (x - y).norm(dim=-1), rtol=1e-12, atol=0)
    # and so its log-volume is minus that of the metric
    torch.testing.assert_close(chart.log_volume(x), -space.metric.log_volume_form(chart(x)), rtol=1e-12, atol=1e-12)


def test_stick_breaking_is_stans():
    z = torch.randn(7, 4, dtype=torch.float64)
    ours, torchs = StickBreaking(4), torch.distributions.StickBreakingTransform()
    torch.testing.assert_close(ours(z), torchs(z))
    torch.testing.assert_close(ours.log_volume(z), torchs.log_abs_det_jacobian(z, torchs(z)))


@pytest.mark.parametrize("chart", [AdditiveLogRatio(2), IsometricLogRatio(2), StickBreaking(2)], ids=repr)
def test_a_vanished_coordinate_is_refused_not_clamped(chart):
    s = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5]])
    torch.testing.assert_close(chart(chart.inv(s[:1])), s[:1])
    with pytest.raises(OffManifoldError, match=r"s: expected positive coordinates.* at row 1; .*from_log"):
        chart.inv(s)
    assert AdditiveLogRatio(2).from_log(s.log())[1].tolist() == [0, -torch.inf]


def test_default_charts():
    assert default_chart(Euclidean(3)) == Identity(3)
    assert default_chart(Hypersphere(3)) == Stereographic(3)
    assert default_chart(Simplex(3)) == AdditiveLogRatio(3)
    with pytest.raises(ValueError, match="give a chart"):
        default_chart(Product([Euclidean(2)]))


def test_simplex_constraint_follows_the_dtype():
    s = torch.randn(200, 12_289).softmax(-1)
    assert SimplexConstraint(12_288).check(s).all()
    constraint = SimplexConstraint(2)
    bad = torch.tensor([[0.5, 0.5, 0.001], [0.6, 0.5, -0.1], [0.5, 0.5, float("nan")]])
    assert constraint.check(bad).tolist() == [False] * 3
    assert not constraint.check(torch.tensor([0.5, 0.5]))
    assert constraint.check(torch.tensor([0.0, 0.0, 1.0]))


def test_simplex_constraint_is_registered():
    z = torch.randn(5, 3)
    bijection, parametrisation = biject_to(SimplexConstraint(3)), transform_to(SimplexConstraint(3))
    torch.testing.assert_close(bijection.inv(bijection(z)), z, rtol=1e-4, atol=1e-4)
    assert SimplexConstraint(3).check(bijection(z)).all()
    assert SimplexConstraint(3).check(parametrisation(torch.randn(5, 4))).all()


def test_simplex_constraint_allows_ten_roundings_for_each_root_of_the_size():
    eps = torch.finfo(torch.float64).eps
    sums = torch.tensor([17.0, 18.0], dtype=torch.float64)[:, None] * eps  # 10 sqrt(3) is 17.3
    s = torch.cat([torch.full((2, 2), 0.5, dtype=torch.float64), sums], -1)
    assert SimplexConstraint(2).check(s).tolist() == [True, False]


def test_charts_show_how_they_were_built():
    shown = [Stereographic(2), Stereographic(2, scale=0.5), StickBreaking(3), SimplexConstraint(3)]
    assert list(map(repr, shown)) == [
        "Stereographic(2)",
        "Stereographic(2, scale=0.5)",
        "StickBreaking(3)",
        "SimplexConstraint(3)",
    ]
