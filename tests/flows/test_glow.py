"""Glow is a bijection with the log-determinant that autodiff finds, at any weights."""

import pytest
import torch
from torch.func import jacrev, vmap

from manifoldflow.flows import Glow


def trained_looking(shape, dtype, **options):
    """A Glow whose couplings do something: the zero-initialised last convolutions are filled."""
    glow = Glow(shape, **options).to(dtype)
    with torch.no_grad():
        for parameter in glow.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return glow


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 8), (1, 8, 8)])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_inverse_undoes_forward(shape, dtype, atol):
    glow = trained_looking(shape, dtype, levels=2, steps=3, hidden=8)
    x = torch.rand(5, *shape, dtype=dtype)
    z = glow(x).detach()
    assert z.shape == (5, glow.dim)
    assert z.dtype == dtype
    torch.testing.assert_close(glow.inv(z), x, atol=atol, rtol=0)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4)])
@pytest.mark.parametrize("levels", [1, 2])
def test_log_determinant_equals_autodiff(shape, levels):
    glow = trained_looking(shape, torch.float64, levels=levels, steps=2, hidden=8)
    x = torch.rand(3, *shape, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda one: glow(one[None])[0]))(x).reshape(3, glow.dim, glow.dim)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(glow.log_abs_det_jacobian(x, glow(x)), expected, atol=1e-9, rtol=1e-9)


def test_initialise_standardises_the_output_and_changes_no_input():
    glow = Glow((1, 8, 8), levels=2, steps=4, hidden=8)
    x = torch.rand(256, 1, 8, 8) * 0.3
    before = x.clone()
    glow.initialise(x)
    z = glow(x).detach()
    assert torch.equal(x, before)
    assert float(z.std()) == pytest.approx(1, abs=0.2)
    assert float(z.mean()) == pytest.approx(0, abs=0.1)


def test_initialise_survives_constant_pixels():
    glow = Glow((1, 8, 8), levels=2, steps=4, hidden=8)
    glow.initialise(torch.full((64, 1, 8, 8), 0.5))
    assert glow(torch.rand(4, 1, 8, 8)).isfinite().all()


def test_batch_shapes():
    glow = Glow((1, 4, 4), levels=1, steps=1, hidden=4)
    assert glow(torch.rand(2, 3, 1, 4, 4)).shape == (2, 3, 16)
    assert glow.inv(torch.rand(2, 3, 16)).shape == (2, 3, 1, 4, 4)
    assert glow.log_abs_det_jacobian(torch.rand(2, 3, 1, 4, 4), None).shape == (2, 3)
    assert glow(torch.rand(0, 1, 4, 4)).shape == (0, 16)
    assert glow.forward_shape(torch.Size([7, 1, 4, 4])) == (7, 16)
    assert glow.inverse_shape(torch.Size([7, 16])) == (7, 1, 4, 4)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"divisible by 2\^levels = 4, got 6 x 6"):
        Glow((1, 6, 6), levels=2)
    with pytest.raises(ValueError, match="steps: expected a positive integer, got 0"):
        Glow((1, 8, 8), steps=0)
    with pytest.raises(ValueError, match=r"expected images of shape .*1, 8, 8.*got \(5, 1, 4, 4\)"):
        Glow((1, 8, 8))(torch.rand(5, 1, 4, 4))
