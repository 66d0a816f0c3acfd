"""The inverse of the mean resultant length."""

import pytest
import torch

from manifoldflow.special import vmf_concentration, vmf_mean_length, vmf_mean_length_derivative


@pytest.mark.parametrize("n", [2, 3, 10, 100, 785, 3073, 200_000])
def test_inverts_mean_length(n):
    kappa = torch.logspace(-6, 8, 100, dtype=torch.float64)
    length = vmf_mean_length(kappa, n)
    error = (vmf_concentration(length, n) - kappa).abs()
    # The rounding of the length alone moves the concentration by eps A / A'.
    unit = torch.finfo(torch.float64).eps
    assert (error <= 4 * unit * (length / vmf_mean_length_derivative(kappa, n) + kappa)).all()


def test_zero_and_derivatives():
    assert vmf_concentration(torch.zeros(2), 5).tolist() == [0, 0]
    length = torch.tensor([0.01, 0.3, 0.6, 0.95], dtype=torch.float64, requires_grad=True)
    for n in (2, 3, 100):
        assert torch.autograd.gradcheck(lambda r, n=n: vmf_concentration(r, n), length)
        assert torch.autograd.gradgradcheck(lambda r, n=n: vmf_concentration(r, n), length)
