"""Lengths with decoders and spaces, large factors, interrupts, and how paths, bridges and solutions show themselves."""

import math

import pytest
import torch

import manifoldflow as mf
from manifoldflow.interpolation import (
    METHODS,
    AdamStraightening,
    CurveEnergy,
    GaussianProcessBridge,
    Geodesic,
    GraphStart,
    LangevinBridge,
    Linear,
    NormCorrected,
    Slerp,
    SquaredExponential,
    TypicalBridge,
    build_path,
    energy_based,
    optimise,
)
from manifoldflow.interpolation.bridges import factor
from manifoldflow.interpolation.curves.solution import Status
from manifoldflow.manifolds import Hypersphere, Simplex, Torus

F64 = torch.float64


def double(x):
    return 2 * x


@pytest.mark.parametrize("kind", ["geodesic", "slerp", "linear"])
def test_lengths_of_decoded_paths(kind):
    torch.manual_seed(0)
    start, end = Hypersphere(2).random_point(2, dtype=F64)
    path = {"geodesic": Geodesic(Hypersphere(2), start, end), "slerp": Slerp(start, end), "linear": Linear(start, end)}[
        kind
    ]
    exact = (start - end).norm() if kind == "linear" else Hypersphere(2).metric.dist(start, end)
    torch.testing.assert_close(path.length(), exact)
    torch.testing.assert_close(path.length(decode=double), 2 * exact, rtol=1e-4, atol=0)
    k = 3  # three chords of an arc
    chords = exact if kind == "linear" else 2 * k * torch.sin(exact / (2 * k))
    torch.testing.assert_close(path.length(decode=double, steps=k), 2 * chords, rtol=1e-3, atol=0)
    torch.testing.assert_close(path.energy(), exact**2 / 2, rtol=1e-4, atol=0)
    torch.testing.assert_close(path.energy(decode=double), 2 * exact**2, rtol=1e-4, atol=0)
    torch.testing.assert_close(path.speed(torch.tensor([0.3], dtype=F64), decode=double), 2 * exact.reshape(1))


@pytest.mark.parametrize("space", [Torus(2), Simplex(3), Simplex(3, metric="aitchison")], ids=repr)
def test_chords_are_measured_in_the_space(space):
    torch.manual_seed(0)
    start, end = space.random_point(2, dtype=F64)
    path = Geodesic(space, start, end)
    length = space.metric.dist(start, end)
    torch.testing.assert_close(path.energy(steps=5), length**2 / 2)
    torch.testing.assert_close(path.resample(steps=5).length(steps=7), length)


def test_a_space_may_be_given_beside_the_base():
    start, end = torch.eye(3)[:2]
    path = build_path(start, end, method="geodesic", space=Hypersphere(2))
    torch.testing.assert_close(path.length(), torch.tensor(math.pi / 2))
    with pytest.raises(ValueError, match=r"and no space=\.\.\."):
        build_path(start, end, method="geodesic")


@pytest.mark.parametrize("m", [70, 300])
def test_a_covariance_of_full_rank_is_factored_at_once(m):
    t = torch.linspace(0, 1, m, dtype=F64)
    covariance = torch.exp(-((t[:, None] - t).abs()))
    lower, triangular = factor.factor(covariance)
    torch.testing.assert_close(lower @ lower.T, covariance, atol=1e-10, rtol=0)
    assert triangular
    assert torch.equal(lower, lower.tril())
    smooth = torch.exp(-((t[:, None] - t) ** 2))
    lower, triangular = factor.factor(smooth)
    assert not triangular
    assert lower.shape[1] < 20
    torch.testing.assert_close(lower @ lower.T, smooth, atol=1e-10, rtol=0)
    for columns in (5, 40):  # few and many numbers a point go different ways
        for one, flag in ((lower, False), (torch.linalg.cholesky(covariance), True)):
            noise, out = torch.randn(3, one.shape[1], columns, dtype=F64), torch.empty(3, m, columns, dtype=F64)
            factor.multiply(one, noise, out, triangular=flag)
            torch.testing.assert_close(out, one @ noise)


def test_what_is_no_covariance_is_refused():
    negative = torch.diag(torch.tensor([1.0, -1.0], dtype=F64))
    off = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=F64)
    beside = torch.tensor([[0.0, 1e-3], [1e-3, 1.0]], dtype=F64)
    for wrong in (negative, off, beside):
        with pytest.raises(factor.NotPositiveDefiniteError):
            factor.factor(wrong)
    assert factor.factor(torch.zeros(0, 0, dtype=F64))[0].shape == (0, 0)
    assert factor.factor(torch.zeros(2, 2, dtype=F64))[0].shape == (2, 0)


def test_the_markov_process_fills_any_layout():
    torch.manual_seed(0)
    t, at = torch.linspace(0, 1, 6, dtype=F64), torch.tensor([0.0, 1.0], dtype=F64)
    out = torch.empty(40_000, 6, 2, dtype=F64).movedim(0, 1).contiguous().movedim(0, 1)
    assert not out.is_contiguous()
    factor.markov_residual(out, t, at, 2.0)
    assert out[:, [0, 5]].eq(0).all()
    k = torch.exp(-2 * (t[:, None] - t).abs())
    ends = k[:, [0, 5]]
    exact = k - ends @ torch.linalg.solve(k[[0, 5]][:, [0, 5]], ends.T)
    found = torch.einsum("bin,bjn->ij", out, out) / 80_000
    torch.testing.assert_close(found, exact, atol=0.015, rtol=0)


class Interrupt:
    """An energy that is interrupted at its tenth call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, z):
        self.calls += 1
        if self.calls == 10:
            raise KeyboardInterrupt
        return z.square().sum(-1) + 1


def test_the_papers_recipe_keeps_what_it_has_when_interrupted():
    start, end = torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    path = optimise(CurveEnergy(energy_based(Interrupt())), start, end, segments=4, solver=AdamStraightening())
    assert path.solution.status.tolist() == [Status.INTERRUPTED]
    assert not path.solution.converged.any()
    assert path.nodes.isfinite().all()
    torch.testing.assert_close(path.nodes[:, [0, -1]], torch.stack([start, end], 1))


def test_the_papers_recipe_by_default():
    recipe = AdamStraightening()
    assert (recipe.learning_rate, recipe.straighten, recipe.tolerance) == (0.05, True, 1e-5)
    assert (recipe.patience, recipe.max_iterations) == (200, 2000)


def test_how_they_show_themselves():
    start, end = torch.eye(3)[None, :2].unbind(1)
    assert repr(Linear(start, end)) == "Linear(batch=(1,), event=(3,))"
    assert repr(NormCorrected(start, end)).startswith("NormCorrected(batch=(1,), event=(3,)")
    assert repr(METHODS["slerp"]) == "Method('slerp')"
    energy = CurveEnergy(energy_based(torch.sin), double)
    assert repr(energy) == "CurveEnergy(Conformal(sin), decoder=function, space=None, rule='midpoint', pieces=1)"
    assert repr(CurveEnergy()) == "CurveEnergy(None, decoder=None, space=None, rule='midpoint', pieces=1)"
    path = optimise(CurveEnergy(), start, end, segments=4)
    assert repr(path.solution) == "Solution(pairs=1, segments=4, converged=1)"
    assert "segments=4, solution=Solution(" in repr(path)
    assert repr(path.solution.traces[0]).startswith("Trace(pairs=1, steps=")
    assert repr(CurveEnergy().segments(path.nodes)) == "Segments((1, 4))"
    graph = GraphStart(CurveEnergy(), torch.randn(20, 3), neighbours=3)
    assert repr(graph) == "GraphStart(samples=(20, 3), neighbours=3)"
    assert graph(start[:0], end[:0], 4).shape == (0, 5, 3)
    paths = LangevinBridge(start, end).simulate(torch.linspace(0, 1, 3), 2)
    assert repr(paths) == "WeightedPaths(points=(2, 1, 3, 3), event_dim=1)"


def test_interpolation_by_name_of_nine_points():
    assert mf.interpolate(*torch.eye(3)[:2]).shape == (9, 3)


def test_lengths_are_those_of_256_chords():
    theta = 2.0
    start, end = torch.tensor([1.0, 0.0], dtype=F64), torch.tensor([math.cos(theta), math.sin(theta)], dtype=F64)
    path = Slerp(start, end)
    chord = 2 * math.sin(theta / 512)
    assert path.length(decode=lambda x: x).item() == pytest.approx(256 * chord, rel=1e-12)
    assert path.energy().item() == pytest.approx(128 * 256 * chord**2, rel=1e-12)
    assert path.resample().covered.shape[-1] == 257
    assert path.length(decode=lambda x: x, steps=1).item() == pytest.approx(2 * math.sin(theta / 2))
    for wrong in (0, True, 2.0):
        with pytest.raises(ValueError, match="steps: expected an integer of at least 1"):
            path.energy(steps=wrong)


def test_bridges_by_default():
    start, end = torch.tensor([[1.0, 0.0, 0.0]], dtype=F64), torch.tensor([[0.0, 1.0, 0.0]], dtype=F64)
    half = torch.tensor([0.5], dtype=F64)
    weight = 0.5 / math.cosh(0.5)  # of the Ornstein-Uhlenbeck process over a time of 1: 0.443
    middle = GaussianProcessBridge(start, end).mean(half)[0, 0]
    torch.testing.assert_close(middle, torch.tensor([weight, weight, 0.0], dtype=F64))
    smooth = build_path(start, end, method="smooth-bridge").covariance(torch.tensor([0.4, 0.5], dtype=F64))
    scaled = GaussianProcessBridge(start, end, kernel=SquaredExponential(0.5)).covariance(
        torch.tensor([0.4, 0.5], dtype=F64)
    )
    torch.testing.assert_close(smooth, scaled)
    guide = LangevinBridge(start, end).guide(start, 1.0)  # of the standard normal, whose diffusion lasts for 1
    torch.testing.assert_close(guide, math.exp(-1) / (1 - math.exp(-2)) * (end - start * math.exp(-1)))
    typical = TypicalBridge(start, end)
    assert typical.spread == 0.5
    torch.testing.assert_close(typical.noise.variance(half), GaussianProcessBridge(start, end).variance(half))
    with pytest.raises(ValueError, match="spread: expected an angle"):
        TypicalBridge(start, end, spread=1.6)
    TypicalBridge(start, end, spread=math.pi / 2)


def test_simulations_take_ten_steps_between_two_times():
    calls = []

    def score(x):
        calls.append(len(x))
        return -x

    start = torch.zeros(2, 3, dtype=F64)
    bridge = LangevinBridge(start, start, score=score)
    for options, steps in (({}, 10), ({"substeps": 3}, 3)):
        calls.clear()
        found = bridge.simulate(torch.tensor([0.0, 0.2, 0.5, 1.0]), **options)
        assert len(calls) == 3 * steps - 1  # the last one goes to the end itself
        assert found.points.shape == (1, 2, 4, 3)
    calls.clear()
    bridge.sample(torch.tensor([0.5]), (4,))
    assert (len(calls), calls[0]) == (19, 8)  # from end to end, whichever times are asked for
