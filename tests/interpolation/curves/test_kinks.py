"""Curves along the kink of a two-sided index: low energies in few evaluations, and what is said where it fails."""

import math
from copy import deepcopy

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from manifoldflow.data import load_images
from manifoldflow.errors import ConvergenceWarning
from manifoldflow.interpolation import SobolevDescent, Status, interpolate, optimise, realism_energy
from manifoldflow.realism import CallableIndex, StandardNormalIndex, TwoSidedIndex

TWO_SIDED = TwoSidedIndex(StandardNormalIndex(8))


@pytest.fixture(scope="module")
def vae():
    """A decoder 8-128-64 with ReLU and sigmoid, trained as a VAE's on the 8x8 digits, and encoded digits."""
    torch.manual_seed(0)
    x = load_images("digits").images.flatten(1) / 16
    encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
    decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid())
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-3)
    for _ in range(300):
        batch = x[torch.randint(len(x), (128,))]
        mean, log_scale = encoder(batch).chunk(2, -1)
        decoded = decoder(mean + log_scale.exp() * torch.randn_like(mean))
        divergence = (0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale).sum()
        loss = nn.functional.binary_cross_entropy(decoded, batch, reduction="sum") + divergence
        adam.zero_grad()
        (loss / 128).backward()
        adam.step()
    return decoder.requires_grad_(False), encoder(x)[:, :8].detach()


@pytest.fixture
def pairs(vae):
    points = vae[1][torch.randperm(len(vae[1]), generator=torch.Generator().manual_seed(1))[:8]]
    return points[:4], points[4:]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_sided_paths_settle_at_a_lower_energy_than_a_descent_that_does_not_round_the_kink(vae, pairs, dtype):
    decoder, (start, end) = deepcopy(vae[0]).to(dtype), (points.to(dtype) for points in pairs)
    energy = realism_energy(TWO_SIDED.regularised(0.1), decoder)
    found = optimise(energy, start, end).solution
    assert found.converged.all()
    assert (found.iterations <= 300).all()
    assert "settled" in found.reasons()[int((found.status == Status.SETTLED).nonzero()[0])]
    torch.testing.assert_close(found.energy, energy(found.nodes))
    torch.testing.assert_close(found.nodes[:, [0, -1]], torch.stack([start, end], 1), rtol=0, atol=0)
    # A function without `smoothed` is minimised as it is.
    bare = realism_energy(CallableIndex(TWO_SIDED.log, log=True).regularised(0.1), decoder)
    with pytest.warns(
        ConvergenceWarning, match=r"optimise: 4 of 4 pairs did not converge: iteration limit .*raise max"
    ):
        plain = optimise(bare, start, end, solver=SobolevDescent(max_iterations=150)).solution
    assert (found.energy < 0.9 * plain.energy).all()


def test_a_good_start_is_kept_and_few_evaluations_are_respected(vae, pairs):
    energy = realism_energy(TWO_SIDED.regularised(0.1), vae[0])
    good = optimise(energy, *pairs).solution
    for limit in (3, 20):
        with pytest.warns(ConvergenceWarning, match="iteration limit"):
            again = optimise(energy, *pairs, starts=good.nodes, solver=SobolevDescent(max_iterations=limit)).solution
        assert (again.energy <= good.energy * (1 + 1e-5)).all()
        assert (again.iterations <= limit).all()


@pytest.mark.parametrize("after", [1, 30, 130])
def test_an_interrupt_at_any_stage_keeps_the_best_so_far(vae, pairs, after):
    calls = 0

    class Interrupted(TwoSidedIndex):
        def smoothed(self, width):
            return Interrupted(self.index, rounding=width)

        def log(self, z):
            nonlocal calls
            calls += len(z) == 200  # the middles of four paths' segments
            if calls == after:
                calls += 1
                raise KeyboardInterrupt
            return super().log(z)

    energy = realism_energy(Interrupted(StandardNormalIndex(8)).regularised(0.1), vae[0])
    found = optimise(energy, *pairs).solution
    assert (found.status == Status.INTERRUPTED).any()
    straight = torch.lerp(pairs[0][:, None], pairs[1][:, None], torch.linspace(0, 1, 51)[:, None])
    assert (found.energy <= energy(straight) * (1 + 1e-5)).all()
    torch.testing.assert_close(found.energy, energy(found.nodes))


@given(r=st.floats(1e-300, 1, exclude_max=True), width=st.sampled_from([0.0, 0.01, 0.3, 1.0]))
def test_the_rounded_index_against_its_formula(r, width):
    log_r = torch.tensor([math.log(r)], dtype=torch.float64)
    index = TwoSidedIndex(CallableIndex(lambda z: log_r, log=True), rounding=width)
    with mpmath.workdps(330):
        exact = mpmath.exp(mpmath.mpf(log_r.item()))
        d, w = 1 - 2 * exact, mpmath.mpf(width)
        root = mpmath.sqrt(1 + w**2)
        wanted = mpmath.log((root - mpmath.sqrt(d**2 + w**2)) / (root - w))
    assert index.log(torch.zeros(1, 8)).item() == pytest.approx(float(wanted), rel=1e-12, abs=1e-14)


def test_only_indices_with_a_kink_are_rounded():
    smooth = StandardNormalIndex(8)
    assert smooth.smoothed(0.1) is smooth
    assert smooth.regularised(0.1).smoothed(0.1).eps == 0.1
    assert realism_energy(smooth.regularised(0.1)).conformal.smoothed is None
    rounded = TWO_SIDED.regularised(0.1).smoothed(0.3)
    assert (rounded.eps, rounded.index.rounding) == (0.1, 0.3)
    with pytest.raises(ValueError, match="rounding: expected a finite number >= 0, got -1"):
        TwoSidedIndex(smooth, rounding=-1)


def test_latents_that_the_decoder_does_not_take_are_refused_by_name(vae, pairs):
    energy = realism_energy(TWO_SIDED.regularised(0.1), vae[0])
    start, end = pairs
    optimise(energy, start[:1], end[:1], segments=2)
    message = r"decoder: expected a function of latents \(rows, 8\) in torch.float64, got an error: .*; convert"
    with pytest.raises(ValueError, match=message):
        optimise(energy, start.double(), end.double())
    images = start.reshape(4, 2, 2, 2)
    with pytest.raises(ValueError, match=r"decoder: expected a function of latents \(rows, 2\).*z\.flatten\(1\)"):
        optimise(energy, images, images)
    with pytest.raises(ValueError, match="decoder: expected a function of latents"):
        interpolate(start.double(), end.double(), method="optimised", energy=energy)


def test_progress_is_shown_after_two_seconds(vae, pairs, monkeypatch, capsys):
    energy = realism_energy(StandardNormalIndex(8).regularised(0.1), vae[0])
    optimise(energy, *pairs, segments=4, progress=False)
    assert capsys.readouterr().err == ""
    clock = iter(range(10**6))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(clock)))  # a second passes with every look at it
    optimise(energy, *pairs, segments=4)
    assert "pair" in capsys.readouterr().err
