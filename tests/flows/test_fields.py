"""Fields, solvers and couplings of flow matching: what their options say, and by default."""

import inspect
import math

import pytest
import torch

from manifoldflow.flows import FlowMatching
from manifoldflow.flows.matching import Solver, VectorField
from manifoldflow.manifolds import Euclidean, Hypersphere, Torus

F64 = torch.float64


def weights_of(inputs, hidden, layers, outputs):
    return (inputs + 1) * hidden + (layers - 1) * (hidden + 1) * hidden + (hidden + 1) * outputs


@pytest.mark.parametrize(("space", "width"), [(Hypersphere(2), 3), (Torus(2), 4), (Euclidean(5), 5)])
def test_a_field_reads_features_the_time_its_half_turns_plane_waves_and_a_context(space, width):
    outputs = space.shape[0]
    plain = VectorField(space)
    assert sum(p.numel() for p in plain.parameters()) == weights_of(width + 1 + 2 * 4, 128, 4, outputs)
    torch.testing.assert_close(plain.turns, math.pi * torch.tensor([1.0, 2, 3, 4]))
    full = VectorField(space, hidden=7, layers=2, context_dim=3, frequencies=2, waves=5)
    assert sum(p.numel() for p in full.parameters()) == weights_of(width + 1 + 2 * 2 + 2 * 5 + 3, 7, 2, outputs)
    none = VectorField(space, hidden=7, layers=1, frequencies=0)
    assert sum(p.numel() for p in none.parameters()) == weights_of(width + 1, 7, 1, outputs)
    x, t = space.random_point(6), torch.rand(6)
    assert full(t, x, torch.randn(6, 3)).eq(0).all()  # untrained
    torch.manual_seed(0)
    for p in full.parameters():
        p.data.normal_()
    context = torch.randn(6, 3)
    out = full(t, x, context)
    for changed in ((t + 0.1, x, context), (t, x.roll(1, 0), context), (t, x, context + 0.1)):
        assert (full(*changed) - out).abs().max() > 1e-3
    # the time itself is read, beside its half turns: two units later these are the same
    assert (full(t + 2, x, context) - out).abs().max() > 1e-3


def test_wave_vectors_have_the_deviation_asked_for():
    torch.manual_seed(0)
    for options, deviation in (({}, 4.0), ({"wave_number": 0.5}, 0.5)):
        vectors = VectorField(Hypersphere(2), waves=2000, **options).vectors
        assert vectors.shape == (3, 2000)
        assert vectors.std().item() == pytest.approx(deviation, rel=0.05)
        assert vectors.mean().item() == pytest.approx(0, abs=0.05 * deviation)
    for wrong in ({"hidden": 0}, {"layers": 0}, {"frequencies": -1}, {"waves": -1}, {"context_dim": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
            VectorField(Hypersphere(2), **wrong)
    with pytest.raises(ValueError, match="wave_number"):
        VectorField(Hypersphere(2), wave_number=0.0)


def test_solvers_and_their_finer_ones():
    assert Solver() == Solver("dopri5", 1e-6, 20)
    assert Solver().finer().tolerance == 5e-7
    assert Solver().finer().steps == 20
    assert Solver("rk4", steps=5).finer() == Solver("rk4", steps=10)
    for wrong in ({"steps": 0}, {"tolerance": 0.0}, {"method": "rk5"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
            Solver(**wrong)
    assert [m for m in ("dopri5", "dopri8", "bosh3", "euler", "rk4", "geodesic-rk4") if Solver(m).adaptive] == [
        "dopri5",
        "dopri8",
        "bosh3",
    ]


class Swirl(torch.nn.Module):
    """x_k' = (1 + k / 10) x_k^2: a divergence that is not the same everywhere."""

    def forward(self, t, x, context=None):
        return (1 + torch.arange(x.shape[-1]) / 10) * x.square() / 10


class Mixed(torch.nn.Module):
    """A Jacobian that is not diagonal."""

    def forward(self, t, x, context=None):
        return x.roll(1, -1) * x


@pytest.mark.parametrize("dim", [16, 17])
def test_divergences_are_exact_up_to_16_dimensions_and_estimated_by_8_probes_beyond(dim):
    torch.manual_seed(0)
    flow = FlowMatching(Euclidean(dim), field=Swirl(), solver=Solver("rk4", steps=4))
    x = 0.1 * torch.randn(5, dim)
    value, error = flow.log_prob_and_error(x)
    assert len(flow._probes(x)) == (0 if dim == 16 else 8)
    assert (error == 0).all()  # a diagonal Jacobian leaves signs no noise
    mixed = FlowMatching(Euclidean(dim), field=Mixed(), solver=flow.solver).log_prob_and_error(x)[1]
    assert (mixed == 0).all() == (dim == 16)
    # each coordinate in closed form: 1/x0 = 1/x1 + c, with log-volume -2 log(1 + c x)
    c = (1 + torch.arange(dim) / 10) / 10
    start = x / (1 + c * x)
    exact = -0.5 * start.square().sum(-1) - 0.5 * dim * math.log(2 * math.pi) - 2 * torch.log1p(c * x).sum(-1)
    torch.testing.assert_close(value, exact, atol=1e-4, rtol=1e-5)
    with pytest.raises(ValueError, match="probes: expected an integer >= 2"):
        FlowMatching(Euclidean(2), probes=1)


def test_a_base_on_the_cut_locus_is_redrawn_ten_times():
    class Antipode:
        event_shape = torch.Size([3])
        calls = 0

        def sample(self, shape):
            type(self).calls += 1
            return -torch.eye(3)[0].expand(*shape, 3)

        def log_prob(self, x):
            return x[..., 0] * 0

    flow = FlowMatching(Hypersphere(2), base=Antipode())
    with pytest.raises(ValueError, match="after 10 draws"):
        flow.loss(torch.eye(3)[:1].expand(4, 3))
    assert Antipode.calls == 11
    assert int(flow.redrawn) == 40


def test_by_default_pairs_are_independent_and_paths_geodesics():
    defaults = {name: p.default for name, p in inspect.signature(FlowMatching).parameters.items()}
    assert defaults["coupling"] == "independent"
    assert defaults["context_dim"] == 0
    assert FlowMatching(Hypersphere(2)).tolerance == 1e-6
    assert FlowMatching(Hypersphere(2)).with_tolerance(1e-3).tolerance == 1e-3
    assert FlowMatching(Hypersphere(2), solver=Solver("rk4")).tolerance is None
