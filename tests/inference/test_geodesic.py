"""The geodesic integrator: exact geodesics, reversibility, second order, symplecticity."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import jvp

from manifoldflow.inference.geodesic import Geodesics, Site
from manifoldflow.manifolds import Hypersphere, Torus


def product(*parts):
    """One site of three rows whose coordinates divide like this, beside a flat one."""
    width = sum(size for size, _ in parts)
    sites = {
        "site": Site(torch.Size([3, width]), torch.float64, parts),
        "flat": Site(torch.Size([2]), torch.float64),
    }
    return Geodesics(sites, torch.device("cpu"))


SPACES = {
    "flat": product((2, False)),
    "circle": product((2, True)),
    "torus": product((2, True), (2, True)),
    "sphere": product((4, True)),
    "product": product((3, True), (2, False), (2, True), (3, True)),
}


def phase(geodesics, seed, dtype=torch.float64):
    torch.manual_seed(seed)
    q = geodesics.retract(torch.randn(geodesics.size, dtype=dtype))
    w = geodesics.inverse_mass(torch.rand(geodesics.size, dtype=dtype) + 0.3)
    return q, geodesics.momentum(q, w), w


def gradient(geodesics, q):
    """The potential sum of cos(3 q_i) + q_i^2, an arbitrary smooth one, and its tangent gradient."""
    return (torch.cos(3 * q) + q * q).sum(), geodesics.tangent(q, -3 * torch.sin(3 * q) + 2 * q)


def leapfrog(geodesics, q, p, w, step, steps):
    for _ in range(steps):
        p = p - 0.5 * step * gradient(geodesics, q)[1]
        q, p = geodesics.advance(q, p, w, step)
        p = p - 0.5 * step * gradient(geodesics, q)[1]
    return q, p


def energy(geodesics, q, p, w):
    return float(gradient(geodesics, q)[0] + 0.5 * (w * p) @ p)


spaces = st.sampled_from(sorted(SPACES))
seeds = st.integers(0, 2**31)


@given(name=spaces, seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]), step=st.floats(-0.5, 0.5))
def test_reversible(name, seed, dtype, step):
    g = SPACES[name]
    q, p, w = phase(g, seed, dtype)
    back, opposite = leapfrog(g, *leapfrog(g, q, p, w, step, 3), w, -step, 3)
    assert back.dtype == opposite.dtype == dtype
    room = 1e5 * torch.finfo(dtype).eps  # far from the identity the map stretches errors
    torch.testing.assert_close(back, q, atol=room, rtol=room)
    torch.testing.assert_close(opposite, p, atol=room, rtol=room)


@settings(max_examples=15)
@given(name=spaces, seed=seeds)
def test_energy_error_is_of_second_order(name, seed):
    g = SPACES[name]
    q, p, w = phase(g, seed)
    before = energy(g, q, p, w)
    errors = [abs(energy(g, *leapfrog(g, q, p, w, 0.3 / steps, steps), w) - before) for steps in (8, 16, 32)]
    coarse, middle, fine = errors
    assert coarse < 0.1 * (1 + abs(before))
    room = 1e-5 * (1 + abs(before))  # where the leading terms happen to cancel
    assert middle < 0.4 * coarse + room
    assert fine < 0.4 * middle + room


@settings(max_examples=15)
@given(name=spaces, seed=seeds)
def test_symplectic(name, seed):
    g = SPACES[name]
    q, p, w = phase(g, seed)
    size = g.size

    def step(both):
        return torch.cat(leapfrog(g, both[:size], both[size:], w, 0.3, 1))

    # Velocities (a, b) of curves in phase space: a is tangent at q, and p + t b stays tangent along q + t a.
    torch.manual_seed(seed)
    a, a2 = (g.tangent(q, torch.randn_like(q)) for _ in range(2))

    def lifted(a):
        return jvp(lambda q: g.tangent(q, p), q, a)[1] + g.tangent(q, torch.randn_like(q))

    first, second = torch.cat([a, lifted(a)]), torch.cat([a2, lifted(a2)])
    moved, moved2 = (jvp(step, torch.cat([q, p]), v)[1] for v in (first, second))

    def form(u, v):
        return u[:size] @ v[size:] - u[size:] @ v[:size]

    torch.testing.assert_close(form(moved, moved2), form(first, second), atol=1e-8, rtol=1e-8)


@given(seed=seeds, time=st.floats(-7, 7))
def test_paths_without_a_force_are_the_geodesics_of_the_spaces(seed, time):
    g = SPACES["product"]
    q, p, w = phase(g, seed)
    moved, turned = g.advance(q, p, w, time)
    before, velocity, after = g.unpack(q)["site"], g.unpack(w * p)["site"], g.unpack(moved)["site"]
    space = Hypersphere(2)
    torch.testing.assert_close(after[:, :3], space.metric.exp(time * velocity[:, :3], before[:, :3]))
    torch.testing.assert_close(after[:, 3:5], before[:, 3:5] + time * velocity[:, 3:5])
    angle, later = (torch.atan2(x[:, 6], x[:, 5])[:, None] for x in (before, after))
    speed = (before[:, 5] * velocity[:, 6] - before[:, 6] * velocity[:, 5])[:, None]
    assert Torus(1).metric.dist(later, Torus(1).metric.exp(time * speed, angle)).max() < 1e-6
    torch.testing.assert_close((w * turned) @ turned, (w * p) @ p)
    torch.testing.assert_close(g.tangent(moved, turned), turned, atol=1e-12, rtol=1e-12)


def test_at_rest_nothing_moves_and_gradients_are_finite():
    g = SPACES["product"]
    q, p, w = phase(g, 0)
    p = torch.zeros_like(p).requires_grad_()
    moved, turned = g.advance(q, p, w, 0.5)
    torch.testing.assert_close(moved, q)
    (grad,) = torch.autograd.grad(moved.sum() + turned.sum(), p)
    assert not turned.any()
    assert grad.isfinite().all()


def test_packing_keeps_sites_apart():
    g = product((3, True), (2, False), (3, True))
    values = {"site": torch.randn(3, 8, dtype=torch.float64), "flat": torch.randn(2, dtype=torch.float64)}
    found = g.unpack(g.pack(values))
    torch.testing.assert_close(found["flat"], values["flat"])
    torch.testing.assert_close(found["site"][:, 3:5], values["site"][:, 3:5])
    torch.testing.assert_close(found["site"][:, 5:], torch.nn.functional.normalize(values["site"][:, 5:], dim=-1))


def test_masses_of_spheres_come_from_their_spread_and_bound_the_step():
    g = SPACES["product"]
    w = g.inverse_mass(torch.full((g.size,), 0.5, dtype=torch.float64))
    site = g.unpack(w)["site"]
    assert site[:, :3].eq(0.75).all()
    assert site[:, 3:5].eq(0.5).all()
    assert site[:, 5:7].eq(1).all()
    assert g.longest_step(w) == pytest.approx(math.pi / 2 / math.sqrt(1.5))
    assert SPACES["flat"].longest_step(w) == math.inf
