"""With validation off, densities are those with validation on."""

import pytest
import torch

from manifoldflow.charts import Identity, Stereographic
from manifoldflow.distributions import Dirichlet, Gaussian, InChart, SphericalUniform, VonMisesFisher

POLE = torch.tensor([0.0, 0.0, -1.0])


@pytest.mark.parametrize(
    "build",
    [
        lambda check: Dirichlet(torch.tensor([2.0, 3.0, 4.0]), validate_args=check),
        lambda check: Gaussian(torch.zeros(3), validate_args=check),
        lambda check: SphericalUniform(2, validate_args=check),
        lambda check: VonMisesFisher(POLE, torch.tensor(3.0), validate_args=check),
        lambda check: InChart(VonMisesFisher(POLE, torch.tensor(3.0)), Stereographic(2), validate_args=check),
        lambda check: InChart(Gaussian(torch.zeros(3)), Identity(3), validate_args=check),
    ],
)
def test_densities_do_not_depend_on_validation(build):
    checked, unchecked = build(True), build(False)
    points = checked.sample((5,))
    assert torch.equal(checked.log_prob(points), unchecked.log_prob(points))
    with pytest.raises(ValueError, match=r"value|support|must be within"):
        checked.log_prob(torch.full_like(points, torch.nan))
