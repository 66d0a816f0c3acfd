"""The ways that the sphere's kernels take by size and angle give the same, and antipodes are what the dtype says."""

import math

import pytest
import torch

from manifoldflow.manifolds import Hypersphere, rows, sphere_kernels

from ..strategies import DTYPES

F64 = torch.float64
T = torch.tensor([-0.5, 0.0, 0.3, 1.0], dtype=F64)


def at_angles(angles, n=5):
    """Pairs on the sphere in R^n at these angles, each its own way."""
    rng = torch.Generator().manual_seed(0)
    x, v = torch.randn(2, len(angles), n, dtype=F64, generator=rng)
    x = x / x.norm(dim=-1, keepdim=True)
    v = v - (v * x).sum(-1, keepdim=True) * x
    v = v / v.norm(dim=-1, keepdim=True)
    angles = torch.as_tensor(angles, dtype=F64)[:, None]
    return x, x * angles.cos() + v * angles.sin(), v, angles


FAR, NEAR = [0.9, 1.3, 2.0], [1e-9, 1e-3, 3.0]


@pytest.mark.parametrize(("large", "blocks"), [(1, 1 << 20), (1, 1)], ids=["middling", "large"])
@pytest.mark.parametrize(
    "angles", [FAR * 9, [*FAR * 9, *NEAR], [*FAR, *NEAR * 9], NEAR * 9], ids=["none", "few", "most", "all"]
)
@pytest.mark.parametrize("block", [1 << 19, 35])
def test_every_size_and_share_of_risky_rows(large, blocks, block, angles, monkeypatch):
    monkeypatch.setattr(sphere_kernels, "_LARGE", large)
    monkeypatch.setattr(sphere_kernels, "_BLOCKS", blocks)
    monkeypatch.setattr(rows, "_WHOLE", 1)
    monkeypatch.setattr(rows, "_BLOCK", block)
    check_kernels(*at_angles(angles))
    check_kernels(*(a.reshape(3, -1, a.shape[-1]) for a in at_angles(angles)))


def check_kernels(x, y, v, theta):
    """All of them, for points (*batch, n) at angles (*batch, 1) in the directions v."""
    close = torch.testing.assert_close
    close(sphere_kernels.angle(x, y), theta[..., 0], rtol=1e-6, atol=0)
    close(sphere_kernels.squared_angle(x, y), theta[..., 0] ** 2, rtol=1e-6, atol=0)
    log, cut = sphere_kernels.log(x, y)
    close(log, theta * v, rtol=0, atol=1e-13)
    assert cut.shape == x.shape[:-1]
    assert not cut.any()
    points, cut = sphere_kernels.slerp(x, y, T)
    phase = (T * theta).unsqueeze(-1)
    close(points, x.unsqueeze(-2) * phase.cos() + v.unsqueeze(-2) * phase.sin(), rtol=0, atol=1e-13)
    assert not cut.any()
    close(sphere_kernels.exp(2 * theta * v, x), x * (2 * theta).cos() + v * (2 * theta).sin(), rtol=0, atol=1e-13)
    u = 0.3 * x.roll(1, 0) - 0.3 * (x * x.roll(1, 0)).sum(-1, keepdim=True) * x
    share = (u * v).sum(-1, keepdim=True)  # what is along v turns with it, the rest stays
    moved = u + share * (v * theta.cos() - x * theta.sin() - v)
    close(sphere_kernels.transport_along(u, x, theta * v), moved, rtol=0, atol=1e-13)
    found, cut = sphere_kernels.transport_to(u, x, y)
    close(found, moved, rtol=0, atol=1e-9)  # y is rounded, by as much as its distance from -x allows
    assert not cut.any()


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_antipodes_are_within_4_roundings(dtype, recorded):
    eps = torch.finfo(dtype).eps
    x = torch.tensor([1.0, 0.0, 0.0], dtype=dtype).expand(3, 3).clone().requires_grad_(recorded)
    y = torch.tensor([[-1.0, 4.0 * eps, 0.0], [-1.0, 4.5 * eps, 0.0], [-1.0, 0.0, 0.0]], dtype=dtype)
    wanted = [True, False, True]
    for cut in (
        sphere_kernels.antipodal(x, y),
        sphere_kernels.log(x, y)[1],
        sphere_kernels.slerp(x, y, T.to(dtype))[1],
        sphere_kernels.transport_to(y, x, y)[1],
    ):
        assert cut.tolist() == wanted
    log = sphere_kernels.log(x, y)[0].detach()
    torch.testing.assert_close(log.norm(dim=-1), torch.full((3,), math.pi, dtype=dtype))
    torch.testing.assert_close(log[[0, 2], 1], torch.full((2,), math.pi, dtype=dtype))  # along the first other axis
    torch.testing.assert_close(log[:, 0], torch.zeros(3, dtype=dtype), rtol=0, atol=8 * eps)
    half = sphere_kernels.slerp(x, y, torch.tensor([0.5], dtype=dtype))[0].detach()[:, 0]
    torch.testing.assert_close(half, torch.tensor([0.0, 1.0, 0.0], dtype=dtype).expand(3, 3))
    # the transport along the half circle turns what points along it, and leaves the rest
    u = torch.tensor([0.0, 2.0, 3.0], dtype=dtype).expand(3, 3)
    moved = sphere_kernels.transport_to(u, x, y)[0].detach()
    torch.testing.assert_close(moved, torch.tensor([0.0, -2.0, 3.0], dtype=dtype).expand(3, 3), rtol=0, atol=1e-5)
    assert sphere_kernels.squared_angle(x, -x).tolist() == pytest.approx([math.pi**2] * 3)


def test_any_direction_is_the_least_aligned_axis_made_tangent():
    x = Hypersphere(3).random_point(20, dtype=F64)
    e = sphere_kernels.any_direction(x)
    torch.testing.assert_close(e.norm(dim=-1), torch.ones(20, dtype=F64))
    torch.testing.assert_close((e * x).sum(-1), torch.zeros(20, dtype=F64))
    k = x.abs().argmin(-1, keepdim=True)
    torch.testing.assert_close(e.gather(-1, k), (1 - x.gather(-1, k) ** 2).sqrt())  # the cosine to that axis
