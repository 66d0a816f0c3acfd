"""Flow matching on geomstats' SO(3): closed forms beside scipy's and geomstats', and a law that is learned."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from manifoldflow.flows.matching import (
    FlowMatching,
    Solver,
    VectorField,
    cut_locus,
    geodesic_path,
    rotation_exp,
    rotation_log,
)
from manifoldflow.manifolds.rows import load_forward_mode


def special_orthogonal(n):
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    return SpecialOrthogonal(n)


class Uniform:
    """By Haar's measure of mass one."""

    has_rsample = False
    event_shape = torch.Size((3, 3))

    def sample(self, shape=()):
        q = torch.nn.functional.normalize(torch.randn(*shape, 4), dim=-1)
        half = torch.acos(q[..., :1].clamp(-1, 1))
        return rotation_exp(2 * half * torch.nn.functional.normalize(q[..., 1:], dim=-1))

    def log_prob(self, x):
        return x.new_zeros(x.shape[:-2])


angles = st.one_of(
    st.sampled_from([0.0, 1e-8, 1e-4, 1e-2, 0.5, 2.0, math.pi - 1e-2, math.pi - 1e-6]), st.floats(0, math.pi)
)


@settings(max_examples=30)
@given(angle=angles, seed=st.integers(0, 2**31), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_logarithms_undo_exponentials(angle, seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    axis = torch.nn.functional.normalize(torch.randn(5, 3, generator=rng, dtype=torch.float64), dim=-1)
    vector = (angle * axis).to(dtype)
    matrix = rotation_exp(vector)
    eps = torch.finfo(dtype).eps
    expected = torch.as_tensor(Rotation.from_rotvec(vector.double().numpy()).as_matrix())
    torch.testing.assert_close(matrix.double(), expected, rtol=0, atol=8 * eps)
    found, half = rotation_log(matrix)
    assert found.dtype == dtype
    off = (found - vector).norm(dim=-1)
    if angle > 3.14:  # half a turn is one about the opposite axis too
        off = torch.minimum(off, (found + vector * (2 * math.pi - angle) / angle).norm(dim=-1))
    assert off.max() < 40 * eps * max(angle, 1e-3) + 4 * eps * 1e-3
    assert not half.any() or angle > math.pi - 100 * eps


@settings(max_examples=20)
@given(angle=angles)
def test_derivatives_are_finite_and_right(angle):
    vector = angle * torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    vector.requires_grad_()
    (gradient,) = torch.autograd.grad(rotation_log(rotation_exp(vector))[0].sum(), vector)
    assert gradient.isfinite().all()
    if angle < 3.1:
        torch.testing.assert_close(gradient, torch.ones_like(vector), rtol=1e-6, atol=1e-6)


def test_half_turns_are_the_cut_locus():
    space = special_orthogonal(3)
    turn = rotation_exp(torch.tensor([[math.pi, 0.0, 0.0], [3.0, 0.0, 0.0]], dtype=torch.float64))
    start = Uniform().sample((2,)).double()
    assert cut_locus(space, start, start @ turn).tolist() == [True, False]
    x, u = geodesic_path(space, torch.tensor([0.3, 0.3], dtype=torch.float64), start, start @ turn)
    assert x.isfinite().all()
    assert u.isfinite().all()
    assert cut_locus(special_orthogonal(2), torch.eye(2)[None], -torch.eye(2)[None]) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # geomstats' own conversions
def test_paths_are_those_of_the_metric():
    """The squared distance by geomstats' metric, constant speed, and the velocity as the derivative of the point."""
    torch.manual_seed(0)
    space = special_orthogonal(3)
    start, end = Uniform().sample((6,)).double(), Uniform().sample((6,)).double()
    t = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], dtype=torch.float64)
    load_forward_mode()
    (x, u), (rise, _) = torch.func.jvp(lambda s: geodesic_path(space, s, start, end), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(rise, u)
    torch.testing.assert_close(x[0], start[0])
    torch.testing.assert_close(x[-1], end[-1])
    squared = torch.as_tensor(space.metric.squared_dist(start, end)).to(u)  # its logm is good to 1e-6
    torch.testing.assert_close(space.metric.squared_norm(u, x), squared, rtol=3e-6, atol=0)
    log = torch.as_tensor(space.metric.log(end[2], start[2]))
    torch.testing.assert_close(x[2], torch.as_tensor(space.metric.exp(0.4 * log, start[2])), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # geomstats' own conversions
def test_other_dimensions_take_the_metrics_own_geodesics():
    space = special_orthogonal(2)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    x, _ = geodesic_path(
        space, torch.tensor([0.5], dtype=torch.float64), torch.eye(2, dtype=torch.float64)[None], turn[None]
    )
    torch.testing.assert_close(x[0], torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double() / math.sqrt(2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # geomstats' own conversions
def test_a_law_of_rotations_is_learned_and_has_mass_one():
    torch.manual_seed(0)
    space = special_orthogonal(3)

    def draw(count):
        return rotation_exp(torch.tensor([0.0, 0.0, 1.5]) + 0.3 * torch.randn(count, 3))

    flow = FlowMatching(
        space, base=Uniform(), field=VectorField(space, hidden=48, layers=2), solver=Solver(tolerance=1e-4)
    )
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        flow.loss(draw(128)).backward()
        optimiser.step()
    assert int(flow.redrawn) == 0
    with torch.no_grad():
        x = flow.sample((300,))
        torch.testing.assert_close(x @ x.mT, torch.eye(3).expand(300, 3, 3), rtol=0, atol=1e-3)
        near = rotation_log(rotation_exp(torch.tensor([0.0, 0.0, -1.5])) @ x)[0].norm(dim=-1)
        assert float(near.median()) < 0.8  # of the data 0.46, of uniform rotations 2.3
        assert float(flow.log_prob(draw(50)).mean()) > 2  # nats above the uniform law
        density = flow.log_prob(Uniform().sample((1500,))).double().exp()
    error = float(density.std()) / math.sqrt(len(density))
    assert error < 0.25
    assert float(density.mean()) == pytest.approx(1, abs=4 * error)  # a false alarm in 10,000 seeds
