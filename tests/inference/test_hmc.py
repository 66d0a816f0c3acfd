"""The parts of GeodesicHMC by their formulas: acceptance, the two-stage step, lengths of paths, what is bounded."""

import math

import numpy as np
import pyro
import pytest
import torch

from manifoldflow.distributions import SphericalUniform
from manifoldflow.inference import GeodesicHMC
from manifoldflow.inference.hmc import acceptance

DOUBLE = torch.float64


def oscillator():
    pyro.sample("x", pyro.distributions.Normal(torch.zeros(1, dtype=DOUBLE), 1.0).to_event(1))


def ready(model, **options):
    """A kernel with a model, before its first draw."""
    pyro.set_rng_seed(0)
    kernel = GeodesicHMC(model, adapt_step_size=False, adapt_mass_matrix=False, **options)
    kernel.setup(0)
    return kernel


@pytest.mark.parametrize(
    ("before", "after", "probability"),
    [(1.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.0, 2.0, math.exp(-2)), (0.0, math.nan, 0.0), (0.0, math.inf, 0.0)],
)
def test_a_change_of_energy_is_accepted_as_metropolis_does(before, after, probability):
    assert acceptance(before, after) == pytest.approx(probability)


@pytest.mark.parametrize("h", [0.1, 1.0, -0.7, 2.5])
def test_a_step_is_the_two_stage_scheme_of_blanes_and_others(h):
    """On an oscillator kicks and drifts are matrices; b is that of table 2 in Blanes, Casas and Sanz-Serna (2014)."""
    b = 0.21178

    def kick(share):
        return np.array([[1, 0], [-share * h, 1]])

    drift = np.array([[1, h / 2], [0, 1]])
    step = kick(b) @ drift @ kick(1 - 2 * b) @ drift @ kick(b)
    kernel = ready(oscillator)
    start = kernel._phase._replace(p=torch.tensor([0.8], dtype=DOUBLE))
    end = kernel._step(start, h)
    wanted = step @ [float(start.q), 0.8]
    assert [float(end.q), float(end.p)] == pytest.approx(wanted)
    assert end.potential == pytest.approx(0.5 * wanted[0] ** 2 + 0.5 * math.log(2 * math.pi))
    assert float(end.gradient) == pytest.approx(wanted[0])
    assert kernel._energy(start) == pytest.approx(0.5 * float(start.q) ** 2 + 0.32 + 0.5 * math.log(2 * math.pi))


def test_paths_have_from_half_to_three_halves_of_their_length():
    assert GeodesicHMC(oscillator).trajectory_length == pytest.approx(math.pi / 2)
    assert GeodesicHMC(oscillator, 0.1, num_steps=7).trajectory_length == pytest.approx(0.7)
    kernel = ready(oscillator, step_size=0.1, num_steps=20)
    steps = []
    for _ in range(400):
        before = kernel._gradients
        kernel._move(kernel._phase._replace(p=torch.randn(1, dtype=DOUBLE)), 0.1)
        steps.append((kernel._gradients - before) / 2)
    assert min(steps) in (10, 11)
    assert max(steps) in (29, 30)
    assert np.mean(steps) == pytest.approx(20, abs=1.2)
    kernel = ready(oscillator, step_size=0.1, num_steps=1)
    kernel._move(kernel._phase._replace(p=torch.ones(1, dtype=DOUBLE)), 0.1)
    assert kernel._gradients in (2, 4)


def test_steps_are_up_to_a_tenth_longer_or_shorter(monkeypatch):
    kernel, seen = ready(oscillator, step_size=0.5), []
    monkeypatch.setattr(kernel, "_step", lambda phase, step: seen.append(step) or phase)
    for _ in range(200):
        kernel.sample(kernel.initial_params)
    assert min(seen) == pytest.approx(0.45, abs=0.003)
    assert max(seen) == pytest.approx(0.55, abs=0.003)


def test_an_energy_that_rises_by_a_thousand_is_a_divergence(monkeypatch):
    kernel = ready(oscillator)
    start = kernel._phase._replace(p=torch.zeros(1, dtype=DOUBLE))
    for rise, diverging in ((999.0, False), (1001.0, True), (math.nan, True), (-5.0, False)):
        monkeypatch.setattr(kernel, "_step", lambda phase, step, r=rise: start._replace(potential=start.potential + r))
        move = kernel._move(start, 100.0)
        assert move.diverging == diverging
        assert move.moved == (rise == -5.0)
        assert move.accept_prob == (1.0 if rise == -5.0 else 0.0)


def test_a_step_goes_a_quarter_around_a_sphere_at_most():
    def model():
        pyro.sample("x", SphericalUniform(2, dtype=DOUBLE))

    # at the unit inverse mass 1 / d a point of S^2 moves at about unit speed
    assert ready(model, step_size=9.0).step_size == pytest.approx(math.pi / 2)
    assert ready(oscillator, step_size=9.0).step_size == 9.0
    kernel = GeodesicHMC(model)
    assert kernel._adapts == {
        "step_size": 1.0,
        "adapt_step_size": True,
        "adapt_mass_matrix": True,
        "target_accept_prob": 0.8,  # Pyro's and Stan's
    }
