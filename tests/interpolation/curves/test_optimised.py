"""Optimised paths: what they return, every start, every way to fail, and the solver's promises."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from manifoldflow.errors import ConvergenceWarning, OffManifoldError
from manifoldflow.interpolation import (
    AdamStraightening,
    CurveEnergy,
    GraphStart,
    Linear,
    SobolevDescent,
    Status,
    multi_start,
    optimise,
    realism_energy,
)
from manifoldflow.manifolds import Hypersphere, Simplex
from manifoldflow.realism import CallableIndex, c_rings, density_index, semicircle


def problem(
    pairs: int = 6, dim: int = 4, dtype: torch.dtype = torch.float32, pieces: int = 1
) -> tuple[CurveEnergy, Tensor, Tensor]:
    prior = semicircle(dim, dtype=dtype)
    energy = realism_energy(density_index(prior, samples=1000).regularised(0.1), rule="ends", pieces=pieces)
    start = prior.sample_given(torch.zeros(pairs, dtype=torch.long))
    return energy, start, prior.sample_given(torch.full((pairs,), 2))


@given(dtype=st.sampled_from([torch.float32, torch.float64]), segments=st.integers(2, 30), seed=st.integers(0, 99))
def test_energy_never_rises_and_ends_stay(dtype, segments, seed):
    torch.manual_seed(seed)
    energy, start, end = problem(3, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = optimise(energy, start, end, segments=segments, solver=SobolevDescent(max_iterations=15))
    solution = path.solution
    assert path.nodes.shape == (3, segments + 1, 4)
    assert path.nodes.dtype == solution.energy.dtype == dtype
    trace = solution.traces[0].energy
    slack = 1 + 10 * torch.finfo(dtype).eps
    assert (trace[:, 1:] <= trace[:, :-1] * slack).all()
    torch.testing.assert_close(path.nodes[:, 0], start, rtol=0, atol=0)
    torch.testing.assert_close(path.nodes[:, -1], end, rtol=0, atol=0)
    torch.testing.assert_close(solution.energy, energy(path.nodes))
    torch.testing.assert_close(solution.length, energy.length(path.nodes))
    torch.testing.assert_close(solution.realism, torch.exp(-solution.length))


def test_solution_is_stationary_and_at_constant_speed():
    energy, start, end = problem(dtype=torch.float64, pieces=4)
    path = optimise(energy, start, end, solver=SobolevDescent(tolerance=1e-10, max_iterations=3000, memory=20))
    assert path.solution.converged.all()
    torch.testing.assert_close(path.solution.length.square() / 2, path.solution.energy, rtol=5e-3, atol=0)
    nodes = path.nodes.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(nodes).sum(), nodes)
    straight = Linear(start, end)(torch.linspace(0, 1, 51, dtype=torch.float64)).requires_grad_()
    (at_start,) = torch.autograd.grad(energy(straight).sum(), straight)
    assert gradient[:, 1:-1].norm() < 1e-4 * at_start[:, 1:-1].norm()


def test_path_interpolates_its_nodes():
    energy, start, end = problem()
    path = optimise(energy, start.reshape(2, 3, 4), end.reshape(2, 3, 4), segments=10)
    times = torch.linspace(0, 1, 11)
    assert path(times).shape == (2, 3, 11, 4)
    torch.testing.assert_close(path(times), path.nodes, rtol=0, atol=2e-6)
    halfway = path(torch.tensor([0.05]))[:, :, 0]
    torch.testing.assert_close(halfway, path.nodes[:, :, :2].mean(2))
    assert path.velocity(torch.tensor([0.05])).isfinite().all()


def test_pairs_do_not_influence_each_other_and_chunks_change_nothing():
    energy, start, end = problem(4, dtype=torch.float64, pieces=2)
    whole = optimise(energy, start, end, segments=20).solution
    for size in (1, 3):
        parts = optimise(energy, start, end, segments=20, chunk=size).solution
        torch.testing.assert_close(parts.energy, whole.energy, rtol=1e-4, atol=0)
        assert len(parts.traces) == math.ceil(4 / size)


def test_every_method_agrees():
    energy, start, end = problem(pairs=3, pieces=2)
    reference = optimise(energy, start, end, segments=24).solution.energy
    for options in ({"solver": SobolevDescent(memory=0)}, {"coarse": 2}):
        other = optimise(energy, start, end, segments=24, **options).solution
        torch.testing.assert_close(other.energy, reference, rtol=0.02, atol=0)


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.ConvergenceWarning")
@pytest.mark.parametrize("straighten", [True, False])
def test_the_papers_recipe_goes_the_same_way(straighten):
    energy, start, end = problem(pairs=3, pieces=2)
    reference = optimise(energy, start, end, segments=16).solution.energy
    recipe = AdamStraightening(straighten=straighten, tolerance=1e-3, patience=60, max_iterations=500)
    solution = optimise(energy, start, end, segments=16, solver=recipe).solution
    assert (solution.energy > 0.999 * reference).all()
    assert (solution.energy < 1.1 * reference).all()
    trace = solution.traces[0].energy
    assert (trace[:, 1:] <= trace[:, :-1]).all()


def test_starts():
    energy, start, end = problem(pairs=3, pieces=2)
    reference = optimise(energy, start, end, segments=24).solution
    graph = GraphStart(energy, semicircle(4).sample((500,)))
    given_nodes = Linear(start, end)(torch.linspace(0, 1, 7))
    for one in ("geodesic", given_nodes, Linear(start, end), graph, lambda a, b, k: graph(a, b, k)):
        found = optimise(energy, start, end, segments=24, starts=one).solution
        torch.testing.assert_close(found.energy, reference.energy, rtol=0.02, atol=0)
    several = optimise(energy, start, end, segments=24, starts=["linear", graph]).solution
    assert several.start is not None
    assert (several.energy <= reference.energy * (1 + 1e-6)).all()


def test_graph_starts_find_the_way_round():
    """Between the tips of a C the straight line crosses the gap; round the ring is nearly free."""
    torch.manual_seed(0)
    prior = c_rings(2, gap=0.9)
    energy = realism_energy(density_index(prior).regularised(0.001), pieces=4)
    start, end = prior.locs[:1], prior.locs[-1:]
    straight = optimise(energy, start, end).solution
    starts = multi_start(energy, prior.sample((1500,)), neighbours=(10, 40))
    several = optimise(energy, start, end, starts=starts)
    assert several.solution.energy.item() < 0.8 * straight.energy.item()
    assert several.solution.start.item() > 0
    assert several.nodes[0, :, 0].min() < -3


def test_disconnected_graphs_fall_back_to_straight_lines():
    islands = torch.cat([torch.randn(20, 2), torch.randn(20, 2) + 100])
    start, end = torch.zeros(1, 2), torch.full((1, 2), 100.0)
    nodes = GraphStart(CurveEnergy(), islands, neighbours=3)(start, end, 10)
    torch.testing.assert_close(nodes, Linear(start, end)(torch.linspace(0, 1, 11)))


@pytest.mark.parametrize("metric", ["fisher_rao", "euclidean", "aitchison"])
def test_every_simplex_metric(metric):
    space = Simplex(3, metric=metric)
    torch.manual_seed(0)
    start, end = torch.distributions.Dirichlet(torch.ones(4, dtype=torch.float64)).sample((2, 5))
    path = optimise(CurveEnergy(space=space), start, end)
    assert space.belongs(path.nodes).all()
    torch.testing.assert_close(path.solution.length, space.metric.dist(start, end), rtol=1e-3, atol=0)


def test_graph_starts_on_a_sphere():
    torch.manual_seed(0)
    space = Hypersphere(2)
    points = space.random_point(300)
    energy = CurveEnergy(space=space)
    path = optimise(energy, points[:4], points[4:8], starts=GraphStart(energy, points))
    torch.testing.assert_close(path.solution.length, space.metric.dist(points[:4], points[4:8]), rtol=2e-3, atol=0)


def test_degenerate_batches():
    energy, start, end = problem()
    same = optimise(energy, start, start)
    assert same.solution.converged.all()
    assert (same.solution.energy == 0).all()
    torch.testing.assert_close(same.nodes, start[:, None].expand_as(same.nodes))
    empty = optimise(energy, start[:0], end[:0])
    assert empty.nodes.shape == (0, 51, 4)
    one = optimise(energy, start[0], end[0])
    assert one.nodes.shape == (51, 4)


class Broken(nn.Module):
    """Fails for latents whose first coordinate exceeds a bound."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.where(z[:, :1] > 50, torch.nan, z)


@pytest.mark.parametrize("solver", [SobolevDescent(), AdamStraightening(max_iterations=300, patience=50)])
def test_a_decoder_that_fails_for_some_rows_fails_those_pairs_only(solver):
    energy, start, end = problem()
    start = start.clone()
    start[2, 0] = 100.0
    energy = CurveEnergy(decoder=Broken())
    with pytest.warns(ConvergenceWarning, match="of 6 pairs did not converge"):
        solution = optimise(energy, start, end, solver=solver).solution
    assert solution.status[2] == Status.NOT_FINITE
    assert "not finite" in solution.reasons()[2]
    others = [0, 1, 3, 4, 5]
    assert solution.energy[others].isfinite().all()
    assert (solution.status[others] != Status.NOT_FINITE).all()


def test_nodes_that_are_not_finite_do_not_reach_a_decoder_that_refuses_them():
    """As `ManifoldFlow.encode` does, for the whole batch."""

    def decoder(z: Tensor) -> Tensor:
        assert z.isfinite().all()
        return z

    _, start, end = problem()
    nodes = Linear(start, end)(torch.linspace(0, 1, 9)).clone()
    nodes[2, 4] = torch.nan
    with pytest.warns(
        ConvergenceWarning, match="1 of 6 pairs did not converge: the decoder or the index is not finite"
    ):
        solution = optimise(CurveEnergy(decoder=decoder), start, end, starts=nodes).solution
    assert (solution.status == Status.NOT_FINITE).tolist() == [False, False, True, False, False, False]
    assert solution.converged.sum() == 5


def test_iteration_limit_is_reported():
    energy, start, end = problem()
    with pytest.warns(ConvergenceWarning, match=r"6 of 6 pairs did not converge: iteration limit .*; raise max_iter"):
        solution = optimise(energy, start, end, solver=SobolevDescent(max_iterations=3)).solution
    assert (solution.status == Status.ITERATION_LIMIT).all()
    assert solution.iterations.tolist() == [3] * 6
    assert "max_iterations" in solution.reasons()[0]


@pytest.mark.parametrize("coarse", [0, 1])
def test_an_interrupt_keeps_what_is_done(coarse):
    energy, start, end = problem()
    calls = 0
    value = energy.conformal.value

    def interrupted(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt
        return value(z)

    broken = realism_energy(interrupted, rule="ends")
    solution = optimise(broken, start, end, coarse=coarse, chunk=3).solution
    assert (solution.status == Status.INTERRUPTED).all()
    straight = energy(Linear(start, end)(torch.linspace(0, 1, 51)))
    assert (solution.energy[:3] < straight[:3]).all()
    assert (solution.energy <= straight * (1 + 1e-5)).all()


@pytest.mark.parametrize("where", ["search", "first evaluation"])
def test_an_interrupt_outside_the_solver_keeps_the_chunks_that_are_done(where):
    energy, start, end = problem()
    done = optimise(energy, start[:3], end[:3]).solution
    calls = 0

    def search(a: Tensor, b: Tensor, segments: int) -> Tensor:
        nonlocal calls
        calls += 1
        if where == "search" and calls == 2:
            raise KeyboardInterrupt
        return Linear(a, b)(torch.linspace(0, 1, segments + 1))

    value, armed = energy.conformal.value, where == "first evaluation"

    def interrupted(z: Tensor) -> Tensor:
        nonlocal armed
        if armed and calls == 2:
            armed = False
            raise KeyboardInterrupt
        return value(z)

    path = optimise(realism_energy(interrupted, rule="ends"), start, end, starts=[search, "linear"], chunk=3)
    solution = path.solution
    torch.testing.assert_close(solution.energy[:3], done.energy, rtol=1e-3, atol=0)
    assert (solution.status[:3] == Status.CONVERGED).all()
    assert (solution.status[3:] == Status.INTERRUPTED).all()
    torch.testing.assert_close(path.nodes[3:], Linear(start, end)(torch.linspace(0, 1, 51))[3:])
    torch.testing.assert_close(solution.energy[3:], energy(path.nodes[3:]))
    assert [len(solution.trace(i)[0]) > 0 for i in range(6)] == [True] * 3 + [False] * 3


def test_an_interrupt_between_two_assignments_leaves_a_consistent_state(monkeypatch):
    from manifoldflow.interpolation.curves import descent

    energy, start, end = problem()
    calls = 0

    class Interrupted(descent.Memory):
        def keep(self, rows: Tensor) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            super().keep(rows)

    monkeypatch.setattr(descent, "Memory", Interrupted)
    solution = optimise(energy, start, end).solution
    assert (solution.status == Status.INTERRUPTED).any()
    torch.testing.assert_close(solution.energy, energy(solution.nodes))


def test_every_pair_has_its_trace():
    energy, start, end = problem(5)
    graph = GraphStart(energy, semicircle(4).sample((200,)))
    solution = optimise(energy, start, end, starts=["linear", graph], chunk=2).solution
    for pair in range(5):
        seconds, energies = solution.trace(pair)
        assert len(seconds) == len(energies) > 1
        assert (seconds.diff() >= 0).all()
        torch.testing.assert_close(energies[-1], solution.energy[pair])


def test_progress_bar_counts_the_pairs(capsys):
    energy, start, end = problem()
    optimise(energy, start, end, chunk=4, progress=True)
    assert "6/6" in capsys.readouterr().err


def test_arguments_are_not_written_into():
    energy, start, end = problem()
    kept = start.clone(), end.clone()
    optimise(energy, start, end)
    assert torch.equal(start, kept[0])
    assert torch.equal(end, kept[1])


def test_bad_input_is_refused():
    energy, start, end = problem()
    for options, message in (
        ({"segments": 1}, "segments: expected at least 2"),
        ({"coarse": 5}, "coarse: expected"),
        ({"chunk": 0}, "chunk: expected"),
        ({"starts": []}, "starts: expected"),
        ({"starts": "spherical"}, "starts: expected"),
        ({"starts": torch.zeros(5, 7, 4)}, "starts: expected nodes"),
    ):
        with pytest.raises(ValueError, match=message):
            optimise(energy, start, end, **options)
    with pytest.raises(ValueError, match="end: expected"):
        optimise(energy, start, end[:, :3])
    with pytest.raises(OffManifoldError, match="start"):
        optimise(CurveEnergy(space=Hypersphere(3)), start * 9, end)
    with pytest.raises(ValueError, match="SobolevDescent"):
        SobolevDescent(tolerance=0.0)
    with pytest.raises(ValueError, match="samples: expected"):
        GraphStart(energy, start)


def test_indices_outside_the_unit_interval_and_zero_densities_are_refused():
    _, start, end = problem()
    with pytest.raises(ValueError, match="index: expected values in"):
        optimise(realism_energy(lambda z: z[..., 0] * 0 + 1.5), start, end)
    with pytest.raises(ValueError, match="index: expected one value per point"):
        optimise(realism_energy(lambda z: z.abs().sigmoid()), start, end)
    nowhere = CallableIndex(lambda z: torch.where((z - start[3]).abs().sum(-1) < 1e-6, 0.0, 0.5))
    with pytest.raises(ValueError, match=r"start: expected points of positive density.*row 3.*regularise"):
        optimise(realism_energy(nowhere), start, end)
    optimise(realism_energy(nowhere.regularised(0.1)), start, end)
