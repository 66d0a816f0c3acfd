"""The solver's parts: the Sobolev solve and the quasi-Newton memory."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.interpolation.curves.descent import Memory, dot, laplacian_solve
from manifoldflow.interpolation.curves.starts import resampled

DOUBLE = torch.float64


def laplacian(weights: torch.Tensor) -> torch.Tensor:
    k = len(weights)
    steps = torch.eye(k, k - 1, dtype=DOUBLE) - torch.eye(k, k - 1, dtype=DOUBLE).roll(1, 0)
    return steps.T @ torch.diag(weights) @ steps


@given(k=st.integers(2, 60), spread=st.floats(0, 3), seed=st.integers(0, 1000))
def test_laplacian_solve_matches_a_dense_solve(k, spread, seed):
    torch.manual_seed(seed)
    weights = torch.exp(spread * torch.randn(3, k, dtype=DOUBLE))
    field = torch.randn(3, k - 1, 2, dtype=DOUBLE)
    for row in range(3):
        expected = torch.linalg.solve(laplacian(weights[row]), field[row])
        torch.testing.assert_close(laplacian_solve(weights, field)[row], expected, rtol=1e-6, atol=1e-8)


def test_memory_makes_newton_steps_on_a_quadratic():
    """On a quadratic, BFGS with exact steps is conjugate gradients: it ends after as many steps as unknowns."""
    torch.manual_seed(0)
    k, n = 5, 1
    matrix = torch.randn(k - 1, k - 1, dtype=DOUBLE)
    matrix = matrix @ matrix.T + torch.eye(k - 1, dtype=DOUBLE)
    weights = torch.ones(1, k, dtype=DOUBLE)
    x = torch.randn(1, k - 1, n, dtype=DOUBLE)
    memory = Memory(k, x)
    for _ in range(k - 1):
        gradient = matrix @ x
        direction = memory.direction(weights, gradient)
        step = -dot(gradient, direction) / dot(direction, matrix @ direction) * direction
        memory.add(weights, step, matrix @ step, torch.ones(1, dtype=torch.bool))
        x = x + step
    assert (matrix @ x).norm() < 1e-9


def test_memory_ignores_steps_that_were_not_taken_or_have_no_curvature():
    x = torch.randn(2, 4, 3, dtype=DOUBLE)
    weights = torch.ones(2, 5, dtype=DOUBLE)
    memory = Memory(3, x)
    step = torch.randn_like(x)
    memory.add(weights, step, -step, torch.tensor([True, False]))
    torch.testing.assert_close(memory.direction(weights, x), -laplacian_solve(weights, x))
    memory.keep(torch.tensor([False, True]))
    assert memory.direction(weights[1:], x[1:]).shape == (1, 4, 3)


def test_resampled_keeps_ends_and_equal_steps():
    nodes = torch.tensor([[[0.0], [1.0], [4.0]]])
    torch.testing.assert_close(resampled(nodes, 4)[0, :, 0], torch.tensor([0.0, 0.5, 1.0, 2.5, 4.0]))
    lengths = torch.tensor([[1.0, 3.0]])
    torch.testing.assert_close(resampled(nodes, 4, lengths=lengths)[0, :, 0], torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]))
