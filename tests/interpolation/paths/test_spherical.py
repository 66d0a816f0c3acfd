"""Slerp and norm-corrected lines: values against mpmath, every angle, antipodes, derivatives."""

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow.errors import CutLocusError
from manifoldflow.interpolation import NormCorrected, Slerp

TIMES = [0.1, 0.25, 0.5, 0.9]


def at_angle(angle, dtype=torch.float64, norms=(1.0, 1.0)):
    """Two vectors of R^4 at an angle, not along the axes."""
    basis = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q
    start = norms[0] * basis[0]
    end = norms[1] * (math.cos(angle) * basis[0] + math.sin(angle) * basis[1])
    return start.to(dtype), end.to(dtype)


def exact_slerp(a, b, t):
    """At 50 digits, from the rounded inputs."""
    with mpmath.workdps(50):
        a, b = ([mpmath.mpf(x) for x in v.double().tolist()] for v in (a, b))
        na, nb = (mpmath.sqrt(sum(x * x for x in v)) for v in (a, b))
        u, v = [x / na for x in a], [x / nb for x in b]
        chord = mpmath.sqrt(sum((x - y) ** 2 for x, y in zip(u, v)))
        opening = mpmath.sqrt(sum((x + y) ** 2 for x, y in zip(u, v)))
        w = 2 * mpmath.atan2(chord, opening)
        t = mpmath.mpf(t)
        p, q = ((1 - t), t) if w == 0 else (mpmath.sin((1 - t) * w) / mpmath.sin(w), mpmath.sin(t * w) / mpmath.sin(w))
        r = (1 - t) * na + t * nb
        return [float(r * (p * x + q * y)) for x, y in zip(u, v)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norms", [(1.0, 1.0), (3.0, 0.5), (1e-18, 1e18)])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 1e-3, 0.1, 1.0, 2.6, 2.8, 3.1, math.pi - 1e-3])
def test_values_against_mpmath(angle, norms, dtype):
    start, end = at_angle(angle, dtype, norms)
    t = torch.tensor(TIMES, dtype=dtype)
    wanted = torch.tensor([exact_slerp(start, end, s) for s in t.tolist()], dtype=torch.float64)
    found = Slerp(start, end)(t).double()
    eps = torch.finfo(dtype).eps
    # Near antipodes the inputs' rounding itself moves the circle by eps / (pi - angle); from rounded inputs it does
    # not.
    error = (found - wanted).norm(dim=-1) / wanted.norm(dim=-1)
    assert error.max() <= 16 * eps * max(1, 1 / (math.pi - angle))


@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_norms_are_interpolated_and_speed_is_even(seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    start, end = (torch.randn(3, 2, 4, generator=rng, dtype=dtype) for _ in range(2))
    t = torch.linspace(0, 1, 9, dtype=dtype)
    points = Slerp(start, end, event_dim=2)(t)
    norms = points.flatten(2).norm(dim=-1)
    wanted = (1 - t) * start.flatten(1).norm(dim=-1)[:, None] + t * end.flatten(1).norm(dim=-1)[:, None]
    assert torch.allclose(norms, wanted, rtol=16 * torch.finfo(dtype).eps)
    unit = points.flatten(2) / norms[..., None]
    gaps = unit.diff(dim=1).norm(dim=-1)
    assert torch.allclose(gaps, gaps.mean(-1, keepdim=True).expand_as(gaps), rtol=1e-4)


def test_every_sample_has_its_own_angle():
    """One angle for the flattened batch, as some pipelines compute it, would change a pair's path with its
    neighbours.
    """
    start, end = torch.randn(5, 4, 8, 8), torch.randn(5, 4, 8, 8)
    t = torch.linspace(0, 1, 5)
    together = Slerp(start, end, event_dim=3)(t)
    for i in range(5):
        assert torch.allclose(together[i], Slerp(start[i], end[i], event_dim=3)(t), atol=1e-6)
    assert not torch.allclose(Slerp(start, end, event_dim=4)(t).movedim(0, 1), together, atol=1e-2)


@pytest.mark.parametrize("kind", [Slerp, NormCorrected])
def test_antipodes_raise_with_their_row(kind):
    start = torch.randn(4, 6)
    end = torch.randn(4, 6)
    end[2] = -2 * start[2]
    with pytest.raises(CutLocusError, match="antipodal points at row 2"):
        kind(start, end)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_antipodes_by_choice_follow_a_half_circle(dtype):
    start = torch.randn(3, 7, dtype=dtype)
    path = Slerp(start, -start, cut_locus="choose")
    t = torch.linspace(0, 1, 5, dtype=dtype)
    points = path(t)
    assert torch.equal(points, Slerp(start, -start, cut_locus="choose")(t))
    assert torch.equal(points[:, 0], start)
    assert torch.equal(points[:, -1], -start)
    norm = start.norm(dim=-1, keepdim=True)
    assert torch.allclose(points.norm(dim=-1), norm.expand(3, 5), rtol=1e-5)
    cosine = (points * start[:, None]).sum(-1) / norm**2
    assert torch.allclose(cosine, torch.cos(torch.pi * t).expand(3, 5), atol=1e-5)
    assert torch.allclose(path.angle, torch.full((3,), math.pi, dtype=dtype))


def test_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="cut_locus: expected"):
        Slerp(torch.randn(3), torch.randn(3), cut_locus="ignore")


def test_a_zero_vector_is_reached_on_a_straight_line():
    start, end = torch.zeros(2, 3), torch.randn(2, 3)
    t = torch.linspace(0, 1, 5)
    for kind in (Slerp, NormCorrected):
        assert torch.allclose(kind(start, end)(t), t[:, None] * end[:, None], atol=1e-6)
        leaf = start.clone().requires_grad_()
        kind(leaf, end)(t).sum().backward()
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.05, 0.11, 1.3, 2.9])
@pytest.mark.parametrize("kind", [Slerp, NormCorrected])
def test_first_and_second_derivatives(kind, angle):
    start, end = at_angle(angle, norms=(1.5, 0.7))
    t = torch.tensor([0.0, 0.3, 0.8, 1.0], dtype=torch.float64)

    def points(a, b):
        return kind(a, b)(t)

    leaves = start.requires_grad_(), end.requires_grad_()
    assert gradcheck(points, leaves, atol=1e-6)
    assert gradgradcheck(points, leaves, atol=1e-5)


@given(seed=st.integers(0, 10_000))
def test_norm_corrected_follows_the_same_circle(seed):
    """The same directions as slerp at other times: the angle covered is increasing and ends where slerp's does."""
    rng = torch.Generator().manual_seed(seed)
    start, end = (torch.randn(5, generator=rng, dtype=torch.float64) for _ in range(2))
    t = torch.linspace(0, 1, 33, dtype=torch.float64)
    points = NormCorrected(start, end)(t)
    slerp = Slerp(start, end)
    u = start / start.norm()
    covered = torch.atan2((points - (points @ u)[:, None] * u).norm(dim=-1), points @ u)
    assert (covered.diff() > 0).all()
    share = (covered / slerp.angle).clamp(0, 1)
    along = slerp(share)
    assert torch.allclose(
        along / along.norm(dim=-1, keepdim=True), points / points.norm(dim=-1, keepdim=True), atol=1e-7
    )


def test_norm_corrected_runs_twice_as_fast_in_the_middle_at_90_degrees():
    path = NormCorrected(torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double())
    speed = path.speed(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert speed.tolist() == pytest.approx([1.0, 2.0, 1.0], rel=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_neither_overflow_nor_vanish(scale):
    start, end = at_angle(1.0, torch.float32, (scale, 2 * scale))
    t = torch.tensor([0.5])
    for kind in (Slerp, NormCorrected):
        assert kind(start, end)(t).double().norm().item() / scale == pytest.approx(1.5, rel=1e-5)


def test_lower_matmul_precision_does_not_reach_the_end_points():
    start, end = torch.randn(3, 64), torch.randn(3, 64)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(Slerp(start, end)(torch.tensor([1.0]))[:, 0], end)
    finally:
        torch.set_float32_matmul_precision(before)
