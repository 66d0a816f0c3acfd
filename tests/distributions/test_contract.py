"""What comes in: wrong kinds are refused by name, integers are promoted, leaves are kept and copied, code is traced."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import hessian, jacfwd, jacrev, vmap
from torch.optim.swa_utils import AveragedModel

from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    InChart,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    VonMisesFisherAngle,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex

from .strategies import direction

LOC = direction(3, dtype=torch.float32)
LAWS = [
    VonMisesFisher(LOC, torch.tensor(3.0)),
    PowerSpherical(LOC, torch.tensor(3.0)),
    SphericalUniform(2),
    WrappedNormal(Hypersphere(2), LOC, torch.tensor(0.5)),
    Dirichlet(2 * torch.ones(3)),
    Gaussian(torch.zeros(3)),
    InChart(Dirichlet(torch.ones(4))),
]
BAD = [
    torch.tensor(1.0),
    torch.full((2, 3), torch.nan),
    torch.ones(2, 3, dtype=torch.complex64),
    np.ones((2, 3)),
    [1.0, 0.0, 0.0],
    "x",
    None,
    torch.ones(2, 0),
    torch.ones(2, 2),
    torch.tensor([[torch.inf, 0.0, 0.0]]),
    torch.ones(2, 3, device="meta"),
]
INFINITE = BAD[9]
every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)


@every_law
def test_wrong_values_are_refused_by_name(law):
    assert law.log_prob(law.sample((2,))).isfinite().all()
    assert law.log_prob(torch.zeros(0, 3)).shape == (0,)
    for bad in BAD:
        if isinstance(law, Gaussian | InChart) and bad is INFINITE:
            continue  # torch's real vectors include infinity
        with pytest.raises((ValueError, TypeError), match="value"):
            law.log_prob(bad)
    with pytest.raises(ValueError, match="leading dimensions that broadcast with the batch shape"):
        law.expand((2,)).log_prob(law.sample((5,)))


@pytest.mark.parametrize("bad", [*BAD[2:7], torch.ones(3, dtype=torch.int64), BAD[-1]], ids=str)
def test_wrong_parameters_are_refused_by_name(bad):
    for build in (
        lambda loc: VonMisesFisher(loc, 1.0),
        lambda loc: PowerSpherical(loc, 1.0),
        lambda loc: WrappedNormal(Hypersphere(2), loc, 1.0),
        Gaussian,
    ):
        build(LOC)
        with pytest.raises((ValueError, TypeError), match="loc: expected"):
            build(bad)
    with pytest.raises((ValueError, TypeError), match="concentration: expected"):
        Dirichlet(bad)


def test_wrong_concentrations_are_refused_by_name():
    for bad in ("x", None, 1j, torch.ones((), dtype=torch.complex64), torch.ones((), device="meta"), True):
        for build in (
            lambda k: VonMisesFisher(LOC, k),
            lambda k: PowerSpherical(LOC, k),
            lambda k: VonMisesFisherAngle(k, 3),
            lambda k: WrappedNormal(Hypersphere(2), LOC, k),
            lambda k: Gaussian(LOC, k),
        ):
            build(2.0)
            with pytest.raises((ValueError, TypeError), match=r"(concentration|scale): expected"):
                build(bad)


def test_a_unit_norm_complaint_says_the_norm_and_the_fix():
    with pytest.raises(ValueError, match=r"parameter loc: expected unit vectors, got norm 2, normalise it first"):
        VonMisesFisher(2 * direction(3, "north"), 1.0)
    with pytest.raises(ValueError, match=r"value .*: expected unit vectors, got norm 3, .* at index \(1,\)"):
        VonMisesFisher(LOC, 1.0).log_prob(torch.stack([LOC, 3 * direction(3, "north", torch.float32)]))


@pytest.mark.parametrize("validate", [True, False])
def test_integers_are_promoted(validate):
    angle = VonMisesFisherAngle(2.0, 3, validate_args=validate)
    one = torch.tensor(1)
    for method in ("log_prob", "log_cdf", "log_survival", "cdf", "icdf", "to_normal", "from_normal"):
        torch.testing.assert_close(getattr(angle, method)(one), getattr(angle, method)(one.float()))
    assert angle.cdf(one).item() == pytest.approx(0.6125, abs=1e-4)
    pole = torch.tensor([0, 0, 1])
    for law in LAWS[:6]:
        law = copy.copy(law)
        law._validate_args = validate
        torch.testing.assert_close(law.log_prob(pole), law.log_prob(pole.float()))
    assert LAWS[0].cosine_cdf(one).item() == 1
    assert LAWS[0].cosine_icdf(one).item() == 1
    chart = LAWS[6]
    torch.testing.assert_close(chart.log_prob(pole), chart.log_prob(pole.float()))
    assert Gaussian(torch.zeros(2), 2).scale.dtype == VonMisesFisher(LOC, 2).concentration.dtype == torch.float32


class Holder(nn.Module):
    """A module with a distribution built on its own parameters."""

    def __init__(self, build, *values):
        super().__init__()
        self.values = nn.ParameterList([nn.Parameter(v) for v in values])
        self.law = build(*self.values)


HOLDERS = [
    (VonMisesFisher, LOC, torch.tensor(2.0)),
    (VonMisesFisher, LOC.expand(4, 3).clone(), torch.tensor(2.0)),
    (VonMisesFisher, LOC, torch.tensor(2.0, dtype=torch.float64)),
    (PowerSpherical, LOC, torch.tensor([1.0, 2.0])),
    (Dirichlet, torch.ones(3)),
    (Gaussian, torch.zeros(3), torch.tensor(2.0)),
    (lambda m, s: WrappedNormal(Hypersphere(2), m, s), LOC, torch.tensor(0.5)),
    (lambda m, k: InChart(VonMisesFisher(m, k)), LOC, torch.tensor(2.0)),
    (lambda k: VonMisesFisherAngle(k, 3), torch.tensor(2.0)),
    (lambda m, k: VonMisesFisher(m, k).expand((5,)), LOC, torch.tensor(2.0)),
]


@pytest.mark.parametrize("parts", HOLDERS, ids=range(len(HOLDERS)))
def test_laws_of_parameters_are_copied_and_averaged(parts):
    holder = Holder(*parts)
    s = holder.law.sample()
    twin = copy.deepcopy(holder)
    torch.testing.assert_close(twin.law.log_prob(s), holder.law.log_prob(s))
    with torch.no_grad():
        twin.values[-1].mul_(3)  # the copy's distribution follows the copy's parameters, and no others
    assert not torch.equal(twin.law.log_prob(s), holder.law.log_prob(s))
    averaged = AveragedModel(holder)
    averaged.update_parameters(twin)
    averaged.update_parameters(holder)
    assert torch.equal(averaged.module.law.log_prob(s), copy.deepcopy(averaged).module.law.log_prob(s))
    assert not torch.equal(averaged.module.law.log_prob(s), holder.law.log_prob(s))
    gradients = torch.autograd.grad(holder.law.log_prob(s).sum(), list(holder.values))
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_every_mode_of_differentiation_through_the_concentration(n):
    loc = direction(n)
    s = VonMisesFisher(loc, 3.0).sample((5,))
    kappa = torch.tensor(2.5, dtype=torch.float64)
    warnings.simplefilter("ignore", DeprecationWarning)  # torch's own: its jacfwd uses torch.jit.script
    for function in (
        lambda k: VonMisesFisher(loc, k).log_prob(s).sum(),
        lambda k: VonMisesFisher(loc, k).entropy(),
        lambda k: PowerSpherical(loc, k).log_prob(s).sum(),
    ):
        expected = jacrev(jacrev(function))(kappa)
        assert expected != 0
        for twice in (hessian(function), jacfwd(jacfwd(function)), jacrev(jacfwd(function))):
            torch.testing.assert_close(twice(kappa), expected, rtol=1e-11, atol=1e-13)
        both = vmap(hessian(function))(torch.stack([kappa, 40 * kappa]))
        torch.testing.assert_close(both[0], expected, rtol=1e-11, atol=1e-13)


TRACED = [
    (lambda s: VonMisesFisher(LOC, torch.tensor(3.0)).log_prob(s), LAWS[0]),
    (lambda s: PowerSpherical(LOC, torch.tensor(3.0)).log_prob(s), LAWS[1]),
    (lambda s: WrappedNormal(Hypersphere(2), LOC, torch.tensor(0.5)).log_prob(s), LAWS[3]),
    (lambda s: WrappedNormal(Hypersphere(2), LOC, torch.tensor(50.0)).log_prob(s), LAWS[3]),
    (lambda s: WrappedNormal(Euclidean(3), LOC, torch.tensor(0.5)).log_prob(s), LAWS[5]),
    (lambda s: WrappedNormal(Simplex(2, metric="aitchison"), torch.full((3,), 1 / 3), 0.5).log_prob(s), LAWS[4]),
    (lambda s: Dirichlet(2 * torch.ones(3)).log_prob(s), LAWS[4]),
    (lambda s: Gaussian(torch.zeros(3)).log_prob(s), LAWS[5]),
    (lambda s: InChart(VonMisesFisher(LOC, torch.tensor(3.0))).log_prob(s[..., :2]), LAWS[0]),
    (lambda s: InChart(Dirichlet(2 * torch.ones(4))).log_prob(s), LAWS[5]),
]


@pytest.mark.parametrize(("function", "law"), TRACED, ids=range(len(TRACED)))
def test_densities_under_vmap_and_in_traces(function, law):
    s = law.sample((6,))
    expected = function(s)
    torch.testing.assert_close(vmap(function)(s), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(function, s, check_trace=False)
        torch.testing.assert_close(traced(law.sample((6,)) * 0 + s), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "law"), TRACED, ids=range(len(TRACED)))
def test_densities_in_one_graph(function, law):
    s = law.sample((6,))
    warnings.simplefilter("ignore", DeprecationWarning)  # torch's own: its compiler makes a Function to look at it
    torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="eager")(s), function(s))
