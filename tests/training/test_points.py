"""Flows of points: trained by likelihood, by matching velocities or by reverse KL; mixed by validation."""

import math

import pytest
import torch

import manifoldflow as mf
from manifoldflow.distributions import (
    AngularCentralGaussian,
    Ensemble,
    KernelDensity,
    SphericalUniform,
    VonMisesFisher,
    mix_densities,
)
from manifoldflow.errors import DataError, OffManifoldError
from manifoldflow.evaluation import certify
from manifoldflow.flows import FlowMatching, VectorField
from manifoldflow.training import TrainSettings, train_flow
from tests.flows.projective import Projective

SPHERE = mf.Hypersphere(2)
TRUTH = AngularCentralGaussian(torch.diag(torch.tensor([4.0, 1.0, 0.3])))
QUICK = {"epochs": 12, "batch_size": 200, "learning_rate": 0.05, "warmup": 0, "patience": 12}


def fresh(seed=0, **options):
    torch.manual_seed(seed)
    return Projective(SPHERE, **options)


def draws(count, seed=1):
    torch.manual_seed(seed)
    return TRUTH.sample((count,)).split([count - count // 5, count // 5])


def train(flow, points, folder, extra=None, **settings):
    given = (points, None) if points is None else points
    return train_flow(
        flow,
        given[0],
        given[1],
        TrainSettings(**{**QUICK, **settings}),
        folder=folder,
        progress=False,
        **(extra or {}),
    )


def test_maximum_likelihood_reaches_the_truth(tmp_path):
    points = draws(2500)
    flow = fresh()
    before = flow.loss(points[1]).item()
    found = train(flow, points, tmp_path)
    assert found.flow is flow
    assert not flow.training
    truth = -TRUTH.log_prob(points[1]).mean().item()
    assert before > truth + 0.3
    assert found.validation_loss == pytest.approx(flow.loss(points[1]).item(), abs=1e-5)
    assert found.validation_loss < truth + 0.02
    assert found.epochs == 12


def test_a_killed_run_is_resumed_to_the_same_bits(tmp_path):
    points = draws(1000)
    whole = train(fresh(), points, tmp_path / "whole", epochs=4, extra={"noise": (0.1, 0.01)})
    broken, calls = fresh(), iter(range(13))
    loss = broken.loss

    def interrupted(*args):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss(*args)

    broken.loss = interrupted
    with pytest.raises(KeyboardInterrupt):
        train(broken, points, tmp_path / "cut", epochs=4, checkpoint_every=1, extra={"noise": (0.1, 0.01)})
    again = train(
        fresh(), points, tmp_path / "cut", epochs=4, checkpoint_every=1, extra={"resume": True, "noise": (0.1, 0.01)}
    )
    assert torch.equal(whole.flow.matrix, again.flow.matrix)
    assert whole.steps == again.steps


def test_reverse_kl_from_an_unnormalised_density(tmp_path):
    """The least loss is minus the log of the integral, and the flow's family holds the target."""
    flow = fresh()
    found = train(flow, None, tmp_path, extra={"log_density": lambda x: TRUTH.log_prob(x) + 3.0, "draws": 4000})
    assert found.validation_loss == pytest.approx(-3.0, abs=0.01)
    x = flow.sample((4000,))
    weights = (TRUTH.log_prob(x) - flow.log_prob(x)).exp().detach()
    assert float(weights.sum() ** 2 / weights.square().sum() / len(x)) > 0.98  # effective sample size


def test_flow_matching_is_trained_by_its_own_loss(tmp_path):
    points = draws(1000)
    torch.manual_seed(0)
    flow = FlowMatching(SPHERE, field=VectorField(SPHERE, hidden=32, layers=2))
    found = train(flow, points, tmp_path, epochs=60, learning_rate=1e-2, patience=60)
    assert math.isfinite(found.validation_loss)
    wanted = TRUTH.sample((4000,)).square().mean(0)
    assert (wanted - 1 / 3).abs().max() > 0.2  # of the uniform base
    assert (flow.sample((2000,)).square().mean(0) - wanted).abs().max() < 0.08


def test_contexts_are_trained_with_their_points(tmp_path):
    torch.manual_seed(0)
    context = torch.randn(1500, 1).clamp(-2, 2)
    with torch.no_grad():
        points = fresh(5, context_dim=1).sample((), context)
    flow = fresh(6, context_dim=1)
    pair = (points[:1200], context[:1200]), (points[1200:], context[1200:])
    before = flow.loss(*pair[1]).item()
    found = train(flow, pair, tmp_path)
    assert found.validation_loss == pytest.approx(flow.loss(*pair[1]).item(), abs=1e-5)
    assert found.validation_loss < before - 0.05


def test_averaged_weights_float64_and_no_validation(tmp_path):
    points = draws(1000)
    exact = torch.nn.functional.normalize(points[0].double(), dim=-1)
    found = train(fresh().double(), (exact, None), tmp_path / "a", epochs=2, precision="64-true")
    assert found.flow.matrix.dtype == torch.float64
    assert math.isnan(found.validation_loss)
    averaged = train(fresh(), points, tmp_path / "b", epochs=2, average=0.9, extra={"weight_decay": 0.1})
    assert averaged.validation_loss == pytest.approx(averaged.flow.loss(points[1]).item(), abs=1e-5)


def test_what_does_not_suit_is_refused(tmp_path):
    points = draws(500)
    settings = TrainSettings(epochs=1, batch_size=100)
    options = {"folder": tmp_path, "progress": False}
    assert train_flow(fresh(), *points, settings, **options).epochs == 1
    for error, message, flow, given, more in (
        (TypeError, "flow: expected a FlowDescription or a Flow, got a Linear", torch.nn.Linear(2, 2), points, {}),
        (ValueError, "train: expected .*shape", fresh(), (points[0][:, :2], None), {}),
        (DataError, "train: expected points of shape", fresh(), (points[0][None], None), {}),
        (OffManifoldError, "validation: expected points on", fresh(), (points[0], 2 * points[1]), {}),
        (ValueError, "train: expected torch.float32 as the flow's weights", fresh(), (points[0].double(), None), {}),
        (ValueError, "context: expected shape", fresh(context_dim=1), points, {}),
        (ValueError, "train: expected a context for each of 400 points", fresh(context_dim=1),
         ((points[0], torch.zeros(3, 1)), None), {}),
        (ValueError, "noise: expected", fresh(), points, {"noise": -1.0}),
        (ValueError, "noise: expected a last value above 0", fresh(), points, {"noise": (0.1, 0.0)}),
        (TypeError, "log_density: expected a function", fresh(), (None, None), {"log_density": 3}),
        (ValueError, "train: expected None together with log_density", fresh(), points, {"log_density": len}),
        (ValueError, "log_density: expected shape", fresh(), (None, None), {"log_density": lambda x: x.sum()}),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            train_flow(flow, *given, settings, **options, **more)


def test_an_ensemble_is_no_worse_than_its_best_part():
    torch.manual_seed(0)
    points = VonMisesFisher(torch.eye(3), 60.0).sample((200,)).flatten(0, 1)
    order = torch.randperm(len(points))
    rest, held_out = points[order[:450]], points[order[450:]]
    laws = [fresh(), KernelDensity.fit(rest), SphericalUniform(2)]
    mixed = mix_densities(laws, held_out)
    assert isinstance(mixed, Ensemble)
    values = [law.log_prob(held_out).mean().item() for law in laws]
    assert mixed.log_prob(held_out).mean().item() >= max(values) - 1e-5
    logs = torch.stack([law.log_prob(held_out).double() for law in laws], -1).exp().detach()
    best = -math.inf
    grid = torch.linspace(0, 1, 51, dtype=torch.float64)
    for a in grid:
        for b in grid[grid <= 1 - a + 1e-9]:
            best = max(best, float((logs @ torch.stack([a, b, 1 - a - b])).log().mean()))
    assert mixed.log_prob(held_out).double().mean().item() >= best - 1e-5
    mass = certify(mixed, held_out, train=rest).mass
    assert mass.value == pytest.approx(1, abs=1e-3)
    assert mixed.sample((4, 5)).shape == (4, 5, 3)
    assert mixed.sample().shape == (3,)
    assert mixed.manifold.belongs(mixed.sample((50,))).all()
    assert sum(p.numel() for p in mixed.parameters()) == 9


def test_draws_of_an_ensemble_come_by_weight():
    torch.manual_seed(0)
    laws = [VonMisesFisher(sign * torch.eye(3)[0], 500.0) for sign in (1.0, -1.0)]
    mixed = Ensemble(laws, torch.tensor([1.0, 3.0]))
    share = (mixed.sample((4000,))[:, 0] > 0).double().mean().item()
    assert share == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    flow = Projective(SPHERE, mixed)
    assert flow.double().log_prob(SPHERE.random_point(3, dtype=torch.float64)).dtype == torch.float64


def test_draws_of_laws_in_two_precisions_are_on_the_space_to_the_finer_one():
    torch.manual_seed(0)
    mixed = Ensemble([SphericalUniform(2), SphericalUniform(2, dtype=torch.float64)], torch.ones(2))
    drawn = mixed.sample((200,))
    assert drawn.dtype == torch.float64
    assert (drawn.norm(dim=-1) - 1).abs().max() < 1e-12


def test_laws_that_cannot_be_mixed_are_refused():
    points = SPHERE.random_point(10)
    assert mix_densities([SphericalUniform(2)], points).weights.tolist() == [1.0]
    with pytest.raises(TypeError, match="laws: expected a list of distributions or flows"):
        mix_densities([], points)
    with pytest.raises(ValueError, match=r"laws\[1\]: expected event shape \(3,\)"):
        mix_densities([SphericalUniform(2), SphericalUniform(3)], points)
    with pytest.raises(ValueError, match=r"points: expected shape \(m, 3\)"):
        mix_densities([SphericalUniform(2)], points[:, :2])
    with pytest.raises(ValueError, match="weights: expected 1 nonnegative numbers"):
        Ensemble([SphericalUniform(2)], torch.tensor([-1.0]))
