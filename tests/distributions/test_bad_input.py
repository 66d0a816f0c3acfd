"""Bad input is refused with the name of the parameter, what was expected and what came."""

import pytest
import torch

from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean, Hypersphere

from .strategies import direction

around = pytest.mark.parametrize("law", [VonMisesFisher, PowerSpherical])


@around
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), -float("inf")])
def test_concentration(law, bad):
    with pytest.raises(ValueError, match="parameter concentration"):
        law(direction(3), bad)
    with pytest.raises(ValueError, match="parameter concentration"):
        law(direction(3), torch.tensor([1.0, bad]))


@around
@pytest.mark.parametrize("loc", [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, float("nan")], [0.999, 0.0, 0.0]])
def test_location_is_of_unit_norm(law, loc):
    with pytest.raises(ValueError, match="parameter loc"):
        law(torch.tensor(loc), 1.0)


@around
def test_dimension_and_shapes(law):
    with pytest.raises(ValueError, match=r"loc: expected shape .* n >= 2, got"):
        law(torch.ones(1), 1.0)
    with pytest.raises(ValueError, match="loc: expected shape"):
        law(torch.tensor(1.0), 1.0)
    with pytest.raises(ValueError, match=r"concentration: expected a shape that broadcasts with \(2,\)"):
        law(direction(3).expand(2, 3), torch.ones(5))


@around
def test_samples_off_the_sphere(law):
    p = law(direction(3), 1.0)
    for bad in (torch.tensor([1.0, 1.0, 0.0]), torch.zeros(3), torch.full((3,), float("nan"))):
        with pytest.raises(ValueError, match="support"):
            p.log_prob(bad)
    with pytest.raises(ValueError, match="event_shape"):
        p.log_prob(direction(4))
    unchecked = law(direction(3), 1.0, validate_args=False)
    assert unchecked.log_prob(torch.ones(3)).isfinite()


@around
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounded_unit_vectors_are_accepted_in_high_dimension(law, dtype):
    loc = direction(12_289, dtype=dtype)
    p = law(loc, 100.0)
    assert p.support.check(p.sample((20,))).all()
    assert p.log_prob(p.sample((20,))).isfinite().all()
    law(loc / loc.norm(), 1.0)


def test_integers_are_refused_by_name():
    # They would round every draw: torch.tensor([0, 0, 1]) is easily written.
    for law in (VonMisesFisher, PowerSpherical):
        with pytest.raises(ValueError, match=r"loc: expected floating-point numbers, got torch\.int64"):
            law(torch.tensor([0, 0, 1]), 1.0)
    with pytest.raises(ValueError, match="concentration: expected floating-point"):
        Dirichlet(torch.tensor([1, 2, 3]))
    for build in (lambda loc: Gaussian(loc), lambda loc: WrappedNormal(Euclidean(2), loc, 1.0)):
        with pytest.raises(ValueError, match="loc: expected floating-point"):
            build(torch.tensor([0, 1]))
    assert VonMisesFisher(direction(3), torch.tensor([1, 2])).concentration.dtype == torch.float64


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_scale(bad):
    with pytest.raises(ValueError, match="parameter scale"):
        Gaussian(torch.zeros(3), bad)
    with pytest.raises(ValueError, match="parameter scale"):
        WrappedNormal(Hypersphere(2), direction(3), bad)


def test_dirichlet():
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="parameter concentration"):
            Dirichlet(torch.tensor([1.0, bad]))
    with pytest.raises(ValueError, match="D >= 2"):
        Dirichlet(torch.ones(1))
    with pytest.raises(ValueError, match="support"):
        Dirichlet(torch.ones(3)).log_prob(torch.ones(3))


def test_others():
    for dim in (0, -1, 1.5):
        with pytest.raises(ValueError, match="dim"):
            SphericalUniform(dim)
    with pytest.raises(ValueError, match="scale: expected a shape"):
        Gaussian(torch.zeros(3), torch.ones(2))
    with pytest.raises(ValueError, match="loc: expected shape"):
        Gaussian(torch.tensor(0.0))
